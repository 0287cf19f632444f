"""What is done with each image, as PiCloud's authors wrote it in 2013, in Python 3."""

import os
from io import BytesIO
from urllib.request import urlopen

from PIL import Image, ImageOps

import cloud


def scrape_to_bucket(target):
    """Downloads an image, and saves it to the bucket as PNG.

    target: a dict with keys id (image id), and url (location of image). Returns a dict with keys id (image id), path (object
    key), and transforms (empty list).
    """
    id, url = target["id"], target["url"]
    obj_path = f"imgs/{id}/original.png"
    with urlopen(url, timeout=30) as answer:
        data = answer.read()
    if os.path.splitext(url)[-1].lower() != ".png":
        output = BytesIO()
        Image.open(BytesIO(data)).save(output, "png")
        data = output.getvalue()
    cloud.bucket.putf(data, obj_path)
    return {"id": id, "path": obj_path, "transforms": []}


class ImageOperation:
    """Base class for message handlers of the image pipeline.

    Retrieves images from the bucket, manipulates them in memory, stores the result in the bucket, and outputs the message with
    one transform more. Override operation().
    """

    name = "identity"

    def get_image_from_bucket(self, obj_path):
        """The image that is there."""
        return Image.open(BytesIO(cloud.bucket.getf(obj_path).read()))

    def put_image_in_bucket(self, img, obj_path):
        """Save an image."""
        output = BytesIO()
        img.save(output, "png")
        cloud.bucket.putf(output.getvalue(), obj_path)

    def add_modifier_to_key(self, obj_path):
        """The key with the name of this transform in it."""
        return f"{os.path.splitext(obj_path)[0]}.{self.name}.png"

    def message_handler(self, msg):
        """Entry point for message handling. Do not override."""
        img = self.operation(self.get_image_from_bucket(msg["path"]))
        path = self.add_modifier_to_key(msg["path"])
        self.put_image_in_bucket(img, path)
        return {**msg, "path": path, "transforms": [*msg["transforms"], self.name]}

    def operation(self, img):
        """Method to replace for custom operations."""
        return img


class ImageThumbnail(ImageOperation):
    """A small one."""

    name = "thumb"

    def operation(self, img):
        img.thumbnail((150, 150), Image.Resampling.LANCZOS)
        return img


class ImageMediumSize(ImageOperation):
    """A larger one."""

    name = "med"

    def operation(self, img):
        img.thumbnail((400, 400), Image.Resampling.LANCZOS)
        return img


class ImageSepia(ImageOperation):
    """A vintage look."""

    name = "sepia"

    def __init__(self):
        self.sepia_palette = self.make_linear_ramp()

    @staticmethod
    def make_linear_ramp():
        """A palette as putpalette takes it: [r, g, b, r, g, b, ...]"""
        r, g, b = 255, 220, 162
        return [value * i // 255 for i in range(256) for value in (r, g, b)]

    def operation(self, img):
        grey = ImageOps.autocontrast(img.convert("L"))
        grey.putpalette(self.sepia_palette)
        return grey.convert("RGB")


def callback(msg):
    """Tells that an image is ready: it is public from now on."""
    print(msg)
    return {**msg, "url": cloud.bucket.make_public(msg["path"])}
