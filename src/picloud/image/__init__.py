"""What file systems are made from: bases out of Debian's packages or container images, lists of contents."""
