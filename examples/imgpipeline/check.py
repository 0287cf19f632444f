"""Whether the pipeline did what it should have done, seen from outside."""

from io import BytesIO
from urllib.request import urlopen

from PIL import Image

import cloud
from imgpipeline.photos import LOST, TEXT, folder

MADE = {"thumb": ("original.thumb.png", 150), "med": ("original.med.png", 400), "sepia": ("original.med.sepia.png", 400)}
"""What is made of each image: its name, and the longer side."""


def wrong(targets, records, errors):
    """Sentences about everything that is not as it should be."""
    good = [one for one in targets if not one["url"].endswith((LOST, TEXT))]
    return [*_records(good, records), *_images(good), *_public(records[:3]), *_errors(targets, errors)]


def _records(good, records):
    """Each image was called back once for each thing made of it."""
    wanted = {f"imgs/{one['id']}/{name}" for one in good for name, _ in MADE.values()}
    found = [one["path"] for one in records]
    yield from (f"no callback for {path}" for path in sorted(wanted - set(found)))
    yield from (f"{path} was called back without need" for path in sorted(set(found) - wanted))
    if len(found) != len(set(found)):
        yield f"{len(found) - len(set(found))} callbacks came twice"
    yield from (f"{one['path']} went through {one['transforms']}" for one in records if one["transforms"][-1:] != [_last(one)])


def _last(record):
    return record["path"].split(".")[-2]


def _images(good):
    """Each is there, in the right size, and sepia is brown."""
    photos, keys = {}, {}
    for one in good:
        photo = one["url"].rpartition("/")[2]
        photos.setdefault(photo, Image.open(folder() / photo).size)
        keys.update({f"imgs/{one['id']}/{name}": (photos[photo], most) for name, most in MADE.values()})
        keys[f"imgs/{one['id']}/original.png"] = (photos[photo], None)
    there = set(cloud.bucket.iterlist("imgs"))
    yield from (f"{key} is not there" for key in sorted(set(keys) - there))
    for key, data in cloud.bucket.get_many(sorted(set(keys) & there)):
        (width, height), most = keys[key]
        image = Image.open(BytesIO(data))
        scale = min(1, most / max(width, height)) if most else 1
        if image.format != "PNG" or max(abs(image.width - width * scale), abs(image.height - height * scale)) > 1:
            yield f"{key} is a {image.format} of {image.size}, made of {(width, height)}"
        elif key.endswith(".sepia.png"):
            red, green, blue = image.resize((1, 1)).getpixel((0, 0))
            if not red > green > blue:
                yield f"{key} is not brown"


def _public(records):
    for one in records:
        with urlopen(one["url"], timeout=30) as answer:
            if answer.read() != cloud.bucket.getf(one["path"]).read():
                yield f"{one['url']} shows something else"


def _errors(targets, errors):
    """What could not be got is told, with what was to be got and why it could not."""
    wanted = {one["id"]: one["url"] for one in targets if one["url"].endswith((LOST, TEXT))}
    found = {one["source_message"]["id"]: one for one in errors}
    yield from (f"{wanted[id]} is not among the bad urls" for id in sorted(set(wanted) - set(found)))
    yield from (f"{found[id]['source_message']['url']} is a bad url: {found[id]['exception']}" for id in set(found) - set(wanted))
    for id in set(found) & set(wanted):
        lost, error = wanted[id].endswith(LOST), found[id]
        # One that is lost was tried until the end; of one that is no image only the server's bad moments count.
        tries, said = ((3,), "404") if lost else ((0, 1, 2), "cannot identify image")
        if said not in str(error["exception"]) or error["cur_retry"] not in tries:
            yield f"{wanted[id]} failed with {error['exception']!r} after {error['cur_retry']} retries"
