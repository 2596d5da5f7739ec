"""The rules of delivery, pure and sans-I/O: exactly one response, never silently paid twice.

No clock, random, network or Kafka here: time is an argument, records are values. `connectors/kafka` holds
the shells that read, write and commit as these rules say.

- `marks`     open offsets, notes and the watermark of a partition; the commit's metadata
- `takeover`  what a new owner learns from the logs of responses and usage
- `window`    repeated requests, for ten minutes
- `turns`     requests that wait for an earlier one
- `poison`    crashes, suspects and the records that are fed one at a time
- `lease`     how long this worker may believe that the partitions are its own
- `cancels`   requests that their tenant no longer wants
- `derived`   what is written after a response
"""
