"""Just enough of GGUF (version 3) to cut a file into two parts, as `llama-gguf-split` does."""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, U16, I32 = 8, 9, 2, 5
ALIGNMENT = 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values[0]

    def text(self):
        length = self.take("Q")
        self.at += length
        return self.data[self.at - length:self.at]

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.take("I"), self.take("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SIZES[kind]


def text(value):
    return struct.pack("<Q", len(value)) + value


def up(value):
    return -(-value // ALIGNMENT) * ALIGNMENT


def parts(data):
    """The bytes of the two parts of the model in `data`."""
    reader = Reader(data)
    assert (reader.take("I"), reader.take("I")) == (0x46554747, 3)
    tensors, pairs = reader.take("Q"), reader.take("Q")
    begin = reader.at
    for _ in range(pairs):
        reader.text()
        reader.skip(reader.take("I"))
    metadata = data[begin:reader.at]
    infos = []
    for _ in range(tensors):
        name, dims = reader.text(), [reader.take("Q") for _ in range(reader.take("I"))]
        infos.append((name, dims, reader.take("I"), reader.take("Q")))
    body = up(reader.at)
    ends = sorted([info[3] for info in infos] + [len(data) - body])
    halves = [infos[:tensors // 2], infos[tensors // 2:]]
    return [part(number, half, tensors, metadata if number == 0 else b"", pairs if number == 0 else 0, lambda offset: data[
        body + offset:body + min(end for end in ends if end > offset)]) for number, half in enumerate(halves)]


def part(number, infos, tensors, metadata, pairs, bytes_at):
    split = text(b"split.no") + struct.pack("<IH", U16, number) + text(b"split.count") + struct.pack("<IH", U16, 2)
    split += text(b"split.tensors.count") + struct.pack("<Ii", I32, tensors)
    head = struct.pack("<IIQQ", 0x46554747, 3, len(infos), pairs + 3) + metadata + split
    body = b""
    for name, dims, kind, offset in infos:
        head += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", dim) for dim in dims)
        head += struct.pack("<IQ", kind, len(body))
        body += bytes_at(offset)
        body += bytes(up(len(body)) - len(body))
    return head + bytes(up(len(head)) - len(head)) + body
