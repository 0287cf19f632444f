"""Places for jobs: file system view, namespaces, limits, and the way in. Knows nothing of jobs, leases or servers."""
