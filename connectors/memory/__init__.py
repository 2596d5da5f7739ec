"""Memory: what is remembered of users. The topic is the truth; what is here can be made again from it.

- `ports`     the seam: a memory takes, forgets and finds
- `local`     an index in a folder (tantivy)
- `mem0`      a mem0 server, by its own client
- `feed`      feeds a memory that all workers share, as a consumer
- `follower`  keeps a memory up with the topic, on a thread
- `shelf`     a worker's view: searched within a bound, opened when it is first wanted
- `records`   the topic itself, for commands
"""
