"""Who may come in: keys, users, sessions, tickets, limits, and what is written down about it.

store = KafkaStore(cluster); await store.start()
secret = await secret_of(store, env)                       # what all gateways sign with
doors = doors_of(store, secret, env, gateways=1)           # Part, Doorkeeper and Tickets
why = refusal(host, store.book, clock_ms())                # before listening
app.mount("/api", admin_app(admin_of(doors, env)))
served = Hardened(app, doors.leave, Bounds(origins=origins_of(env)))
uvicorn: http=GuardedProtocol, access_log=False            # its own log has query strings
"""
