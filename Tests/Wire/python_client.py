#!/usr/bin/env python3
"""A client of Mien's wire protocol, written from docs/wire-protocol.md alone; standard library only.

    python_client.py HOST PORT COLLECTION MODEL DIMENSION [K]

says hello with the token in the environment variable MIEN_TOKEN, searches one random probe, prints the matches.

    python_client.py --golden FOLDER

encodes the hello and the search of the document's worked example and compares them with the golden files.
"""

import os
import random
import socket
import struct
import sys
import uuid

HELLO, HELLO_REPLY, STATUS, SEARCH_FACES, SEARCH_ANSWER = 0x0001, 0x0002, 0x0006, 0x0120, 0x0122
REJECTIONS = {1: "not finite", 2: "zero norm", 3: "wrong dimension", 4: "wrong model", 5: "invalid metadata"}


def _table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def frame(message_type, stream, payload, deadline_microseconds=0):
    head = struct.pack("<IHHQQI", len(payload), message_type, 0, stream, deadline_microseconds, crc32c(payload))
    return head + struct.pack("<I", crc32c(head)) + payload


def string(text):
    data = text.encode()
    return struct.pack("<H", len(data)) + data


def matrix(offset, rows):
    """A matrix that begins at the given offset of its payload."""
    head = struct.pack("<II", len(rows[0]), len(rows))
    padding = bytes(-(offset + len(head)) % 4)
    return head + padding + b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)


def hello(token, agent):
    return b"MIEN" + struct.pack("<HHQB", 1, 1, 0, 1) + string(token) + string(agent)


def search(collection, model, k, threshold, recall, token, probes):
    payload = string(collection) + string(model) + struct.pack("<I", k)
    payload += b"\0" if threshold is None else struct.pack("<Bf", 1, threshold)
    payload += struct.pack("<Bd", 4, recall)
    payload += b"\0"  # no filter
    payload += b"\x01"
    payload += b"\0" if token is None else struct.pack("<BI", 1, len(token)) + token
    return payload + matrix(len(payload), probes)


class Reader:
    def __init__(self, payload):
        self.payload, self.offset = payload, 0

    def take(self, byte_count):
        data = self.payload[self.offset : self.offset + byte_count]
        if len(data) < byte_count:
            raise ValueError("the payload ends too early")
        self.offset += byte_count
        return data

    def read(self, layout):
        values = struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))
        return values[0] if len(values) == 1 else values

    def string(self):
        return self.take(self.read("H")).decode()

    def identity(self):
        return uuid.UUID(bytes=self.take(16))

    def optional(self, read):
        return read() if self.read("B") else None

    def array(self, read):
        return [read() for _ in range(self.read("I"))]

    def metadata(self):
        return {
            "person": self.optional(self.string),
            "externalImage": self.optional(self.string),
            "image": self.optional(self.string),
            "boundingBox": self.optional(lambda: self.read("4f")),
            "quality": self.optional(lambda: self.read("f")),
            "confidence": self.optional(lambda: self.read("f")),
            "created": self.optional(lambda: self.read("q")),
            "expires": self.optional(lambda: self.read("q")),
            "attributes": dict(self.array(lambda: (self.string(), self.string()))),
        }

    def match(self):
        return {"face": str(self.identity()), "similarity": self.read("f"), **self.metadata()}

    def outcome(self):
        if self.read("B") == 1:
            return self.array(self.match)
        return "rejected: " + REJECTIONS[self.read("B")]

    def coverage(self):
        names = ["shardsAsked", "shardsAnswered", "facesTotal", "facesAnswered", "rowsVisited", "listsVisited"]
        coverage = dict(zip(names + ["generation"], self.read("IIQQQQI")))
        coverage["missing"] = self.array(lambda: self.read("IB"))
        return coverage

    def search_answer(self):
        answer = {"outcomes": self.array(self.outcome), "coverage": self.coverage(), "elapsed": self.read("Q")}
        # A later field.
        answer["loss"] = self.offset < len(self.payload) and self.read("B") == 1
        self.finish()
        return answer

    def hello_reply(self):
        version, features, role = self.read("HQB")
        node, limits, agent = str(self.identity()), self.read("5I"), self.string()
        self.finish()
        return {"version": version, "role": role, "node": node, "limits": limits, "agent": agent}

    def status(self):
        code, advice, _, retry_after = self.read("HBBI")
        return f"status {code} (advice {advice}, retry after {retry_after} ms): {self.string()}"

    def finish(self):
        if self.offset != len(self.payload):
            raise ValueError("bytes are left over")


class Client:
    def __init__(self, host, port, token):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = 0
        self.peer = Reader(self.call(HELLO, hello(token, "python-example/1"), HELLO_REPLY)).hello_reply()

    def call(self, message_type, payload, reply_type, deadline_microseconds=5_000_000):
        self.stream += 1
        self.socket.sendall(frame(message_type, self.stream, payload, deadline_microseconds))
        while True:
            got_type, stream, reply = self.receive()
            if got_type == STATUS and stream in (0, self.stream):
                raise RuntimeError(Reader(reply).status())
            if stream == self.stream:
                if got_type != reply_type:
                    raise ValueError(f"unexpected message type {got_type:#06x}")
                return reply

    def receive(self):
        head = self.exactly(32)
        byte_count, message_type, _, stream, _, payload_crc, head_crc = struct.unpack("<IHHQQII", head)
        if crc32c(head[:28]) != head_crc:
            raise ValueError("wrong header checksum")
        payload = self.exactly(byte_count)
        if crc32c(payload) != payload_crc:
            raise ValueError("wrong payload checksum")
        return message_type, stream, payload

    def exactly(self, byte_count):
        data = b""
        while len(data) < byte_count:
            piece = self.socket.recv(byte_count - len(data))
            if not piece:
                raise ConnectionError("the node closed the connection")
            data += piece
        return data


def check_golden(folder):
    collection = uuid.UUID("00112233-4455-4677-8899-aabbccddeeff").bytes
    token = collection + struct.pack("<IIQIQ", 2, 0, 41, 2, 1_000_000)
    payloads = {
        "hello": (HELLO, hello("an example token", "example/1.0")),
        "searchFaces": (
            SEARCH_FACES,
            search("gallery", "model-a/1", 10, 0.375, 0.99, token, [[0.5, 0.5, -0.5, 0.5]]),
        ),
    }
    for name, (message_type, payload) in payloads.items():
        with open(os.path.join(folder, name + ".hex")) as file:
            golden = bytes.fromhex(file.read())
        made = frame(message_type, 0x0102030405060708, payload, 250_000)
        if made != golden:
            sys.exit(f"{name}: made {made.hex()}, golden {golden.hex()}")
    with open(os.path.join(folder, "searchAnswer.hex")) as file:
        answer = Reader(bytes.fromhex(file.read())[32:]).search_answer()
    if [match["similarity"] for match in answer["outcomes"][0]] != [0.875, 0.5]:
        sys.exit("searchAnswer: the matches were not read")
    print("hello, searchFaces and searchAnswer agree with the golden files")


def main(arguments):
    if arguments[:1] == ["--golden"]:
        return check_golden(arguments[1])
    if len(arguments) < 5:
        sys.exit(__doc__)
    host, port, collection, model, dimension = arguments[:5]
    client = Client(host, int(port), os.environ.get("MIEN_TOKEN", ""))
    print("connected to", client.peer)
    probe = [random.gauss(0, 1) for _ in range(int(dimension))]
    k = int(arguments[5]) if len(arguments) > 5 else 10
    payload = search(collection, model, k, None, 0.99, None, [probe])
    answer = Reader(client.call(SEARCH_FACES, payload, SEARCH_ANSWER)).search_answer()
    for outcome in answer["outcomes"]:
        print(outcome if isinstance(outcome, str) else "\n".join(map(str, outcome)))
    print(answer["coverage"], answer["elapsed"], "µs")


if __name__ == "__main__":
    main(sys.argv[1:])
