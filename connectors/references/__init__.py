"""Contexts by reference.

- `address`  the roots, and whether an address lies below one; pure
- `files`    opens files: no link leads out of the root, and nothing but a file is opened
- `stores`   opens objects of stores, through fsspec
- `reading`  bytes to text: bounded, hashed, unpacked
- `reader`   all of it, off the event loop, bounded in threads and bytes
"""
