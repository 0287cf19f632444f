"""The index of buckets and volumes: keys, what they stand for, and where its bytes are."""
