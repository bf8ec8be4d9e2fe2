"""Lines from a stream of chunks: a line without an end cannot fill the memory."""

from boundedcollections import LineSplitter

splitter = LineSplitter(max_line_bytes=12)
for chunk in (b"first\nsec", b"ond\n", b"x" * 1_000, b"\nlast"):
    for line in splitter.feed(chunk):
        print(line)
print(splitter.close())
