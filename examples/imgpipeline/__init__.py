"""The image pipeline of examples/13: scrape, thumbnail, medium, sepia, callback."""
