#!/usr/bin/env python3
"""Makes files as the app Aegis exports them, from its documentation and without our code:
plain.json and sealed.json (scrypt, AES-256-GCM). Needs the package `cryptography`; run once, by
hand: python3 vectors/aegis/make.py

The passphrase of sealed.json is "test passphrase". It has a biometric slot before the one for the
passphrase, and a slot of another passphrase, as real files do.
"""

import base64
import hashlib
import json
import pathlib
import random
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent
PASSPHRASE = b"test passphrase"
rng = random.Random(6238)


def an_id():
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def entry(kind, issuer, name, info, **more):
    base = {"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "algo": "SHA1", "digits": 6}
    return {
        "type": kind, "uuid": an_id(), "name": name, "issuer": issuer, "note": "a note",
        "favorite": False, "icon": None, "info": {**base, **info}, "groups": [], **more,
    }


USABLE = [
    entry("totp", "Example", "ana@example.com", {"period": 30}),
    entry("totp", "Bank", "jürgen", {"period": 60, "algo": "SHA256", "digits": 8}, favorite=True),
    entry("hotp", "Old VPN", "ana", {"counter": 7}),
    entry("totp", "", "no issuer", {"period": 30, "secret": "GEZDGNBVGY3TQOJQ"},
          icon="PHN2Zy8+", icon_mime="image/svg+xml", icon_hash="00"),
]
REFUSED = [
    entry("steam", "Steam", "player", {"period": 30, "digits": 5}),
    entry("motp", "Mobile", "ana", {"period": 10, "algo": "MD5", "pin": "1234"}),
    entry("totp", "Odd", "ten digits", {"period": 30, "digits": 10}),
]


def database(entries):
    groups = [{"uuid": an_id(), "name": "Work"}]
    return {"version": 3, "entries": entries, "groups": groups, "icons_optimized": True}


def seal(key, content):
    nonce = rng.randbytes(12)
    sealed = AESGCM(key).encrypt(nonce, content, None)
    return sealed[:-16], {"nonce": nonce.hex(), "tag": sealed[-16:].hex()}


def password_slot(master, passphrase):
    salt = rng.randbytes(32)
    key = hashlib.scrypt(passphrase, salt=salt, n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)
    sealed, params = seal(key, master)
    return {
        "type": 1, "uuid": an_id(), "key": sealed.hex(), "key_params": params,
        "n": 1 << 15, "r": 8, "p": 1, "salt": salt.hex(), "repaired": True, "is_backup": False,
    }


def main():
    plain = {
        "version": 1, "header": {"slots": None, "params": None}, "db": database(USABLE + REFUSED),
    }
    (HERE / "plain.json").write_text(json.dumps(plain, indent=4, ensure_ascii=False) + "\n")
    master = rng.randbytes(32)
    biometric, params = seal(rng.randbytes(32), master)
    slots = [
        {"type": 2, "uuid": an_id(), "key": biometric.hex(), "key_params": params},
        password_slot(master, b"another passphrase"),
        password_slot(master, PASSPHRASE),
    ]
    content, params = seal(master, json.dumps(database(USABLE), indent=4).encode())
    sealed = {
        "version": 1, "header": {"slots": slots, "params": params},
        "db": base64.b64encode(content).decode(),
    }
    (HERE / "sealed.json").write_text(json.dumps(sealed, indent=4) + "\n")


main()
