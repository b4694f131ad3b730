#!/usr/bin/env python3
"""Makes photo.jpg: a QR code by another program, turned, blurred and noisy, in a progressive or
plain JPEG as a camera writes it. Needs the packages qrcode and pillow; run once, by hand."""

import pathlib
import random

import qrcode
from PIL import Image, ImageFilter

URI = "otpauth://totp/Example:photo?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

random.seed(1)
code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, box_size=5, border=4)
code.add_data(URI)
picture = code.make_image(fill_color=(40, 20, 60), back_color=(225, 215, 180)).convert("RGB")
table = Image.new("RGB", (360, 320), (150, 110, 80))
table.paste(picture.rotate(9, expand=True, fillcolor=(150, 110, 80)), (45, 20))
table = table.filter(ImageFilter.GaussianBlur(0.8))
pixels = table.load()
for x in range(table.width):
    for y in range(table.height):
        noise = random.randint(-9, 9) + (x - 180) // 10
        pixels[x, y] = tuple(max(0, min(255, channel + noise)) for channel in pixels[x, y])
table.save(pathlib.Path(__file__).with_name("photo.jpg"), quality=60)
