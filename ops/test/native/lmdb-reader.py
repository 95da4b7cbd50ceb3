"""The same as lmdb-reader.c with py-lmdb; then reads the records past LMDB, through the entry table, as workers do."""
import lmdb
import mmap
import select
import struct
import sys

PAGE, HEADER, LIVE = 4096, 48, 2
data, control = sys.argv[1], sys.argv[2]


def is_right(identity, header, payload):
    magic, identity_again, length = header[:4], *struct.unpack("<QQ", header[8:24])
    return magic == b"LODG" and identity_again == identity and length == len(payload) and payload.count(payload[:1]) == length


def split(record):
    length = struct.unpack_from("<Q", record, 16)[0]
    return bytes(record[:HEADER]), bytes(record[HEADER : HEADER + length])


env = lmdb.open(data, subdir=False, readonly=True, lock=True)
print(".".join(map(str, lmdb.version())), flush=True)
records = wrong = last = 0
ends = False
while not ends:
    ends = bool(select.select([sys.stdin], [], [], 0)[0])
    try:
        with env.begin(buffers=True) as transaction:
            last = 0
            for key, value in transaction.cursor():
                last += 1
                wrong += not is_right(int.from_bytes(key, "big"), *split(value))
            records += last
        print(end=".", flush=True)
    except lmdb.MapResizedError:
        env.set_mapsize(0)
env.close()

mapped = 0
with open(control, "rb") as table, open(data, "rb") as file:
    view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    rows = table.read()[PAGE:]
    for at in range(0, len(rows), 64):
        word, offset, length = struct.unpack_from("<QQQ", rows, at)
        if word & 15 == LIVE:
            mapped += 1
            record = view[offset : offset + HEADER + length]
            wrong += offset % PAGE != 16 or not is_right(word >> 4, *split(record))
print(f"records {records} wrong {wrong} last {last} mapped {mapped}")
