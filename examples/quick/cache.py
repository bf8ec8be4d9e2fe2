"""A cache that is bounded by the bytes of what it holds, and tells what it lets go."""

from boundedcollections import KiB, RemovalCause, SizeAwareLRU


def on_evict(key: str, value: dict[str, object], cause: RemovalCause) -> None:
    print(f"{key} left: {cause}, {len(value)} fields")


documents = SizeAwareLRU[str, dict[str, object]](
    max_bytes=16 * KiB, max_entry_bytes=8 * KiB, on_evict=on_evict, name="documents"
)
for number in range(8):
    documents[f"document {number}"] = {"text": "x" * 3_000, "number": number}

print(documents)
print(f"too large to keep: {not documents.put('giant', {'text': 'x' * 100_000})}")
print(documents.statistics().left[RemovalCause.SIZE])
