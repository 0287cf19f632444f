"""A bucket or volume as a folder: the program that the kernel asks.

protocol, device       what the kernel says and how to be asked by it
session                threads that answer
operations, attribute  one answer for each question
nodes, names, feed     which names there are, kept true by the stream of changes
content, spool, pieces one open file: what was there, what was written, and how it is put
blocks                 pieces of blobs on disk, for all mounts of this host
unstored               what jobs wait for at their end
remote                 what is asked of the server
"""
