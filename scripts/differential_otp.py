"""Random cases for scripts/differential-otp: ours against oathtool and the `oath` package."""

import random
import string
import subprocess
import sys

from oath import OCRAChallengeResponseClient
from oath._ocra import str2ocrasuite

HASHES = ["SHA1", "SHA256", "SHA512"]
KEY_LENGTHS = [1, 10, 16, 20, 32, 63, 64, 65, 100, 127, 128]


def ours(program, lines):
    text = "".join(line + "\n" for line in lines)
    answer = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    answers = answer.stdout.split("\n")[:-1]
    assert len(answers) == len(lines), "one answer for each line"
    return answers


def oathtool(arguments):
    command = ["oathtool", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return answer.stdout.split()


def hotp_cases(rng):
    """oathtool prints 100 codes at once; it knows 6 to 8 digits, and SHA-1 for HOTP."""
    for _ in range(30):
        key, digits = rng.randbytes(rng.choice(KEY_LENGTHS)).hex(), rng.choice([6, 7, 8])
        first = rng.choice([0, rng.randrange(2**31), rng.randrange(2**62)])
        arguments = ["--hotp", f"--counter={first}", f"--digits={digits}", "--window=99", key]
        codes = oathtool(arguments)
        assert len(codes) == 100, arguments
        for counter, code in enumerate(codes, first):
            yield f"hotp SHA1 {digits} {key} {counter}", code


def totp_cases(rng):
    for _ in range(90):
        key, digits = rng.randbytes(rng.choice(KEY_LENGTHS)).hex(), rng.choice([6, 7, 8])
        algorithm, period = rng.choice(HASHES), rng.choice([1, 15, 30, 45, 60, 3600])
        t0 = rng.choice([0, 0, rng.randrange(10**6)])
        now = rng.randrange(t0, 2**32)
        arguments = [f"--totp={algorithm}", f"--digits={digits}", f"--time-step-size={period}s"]
        arguments += [f"--now=@{now}", f"--start-time=@{t0}", "--window=49", key]
        codes = oathtool(arguments)
        assert len(codes) == 50, arguments
        for place, code in enumerate(codes):
            time = now + place * period
            yield f"totp {algorithm} {digits} {key} {period} {t0} {time}", code


def challenge(rng, kind, length):
    symbols = {"N": string.digits, "A": string.ascii_letters + string.digits, "H": string.hexdigits}
    return "".join(rng.choice(symbols[kind]) for _ in range(length))


def ocra_cases(rng):
    for _ in range(3000):
        algorithm, digits = rng.choice(HASHES), rng.randint(4, 10)
        kind, most = rng.choice("NAH"), rng.randint(4, 64)
        given, fields = {}, [f"Q{kind}{most:02}"]
        if rng.random() < 0.5:
            fields.insert(0, "C")
            given["C"] = rng.choice([0, rng.randrange(2**20), 2**64 - 1])
        if rng.random() < 0.5:
            fields.append("P" + rng.choice(HASHES))
            given["P"] = "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(6))
        if rng.random() < 0.4:
            length = rng.choice([1, 64, 128, 256])
            fields.append(f"S{length:03}")
            given["S"] = "".join(rng.choice(string.ascii_letters) for _ in range(length))
        if rng.random() < 0.4:
            unit, limit = rng.choice([("S", 59), ("M", 59), ("H", 48)])
            fields.append(f"T{rng.randint(1, limit)}{unit}")
            given["T_precomputed"] = rng.randrange(2**40)
        suite = f"OCRA-1:HOTP-{algorithm}-{digits}:{'-'.join(fields)}"
        key = rng.randbytes(rng.choice(KEY_LENGTHS))
        # The package takes whole bytes of hexadecimal digits.
        step = 2 if kind == "H" else 1
        mutual = most % step == 0 and rng.random() < 0.3
        length = most if mutual else rng.randint(4, most) // step * step
        asked, own = challenge(rng, kind, length), "-"
        if mutual:
            own = challenge(rng, kind, length)
            wanted = str2ocrasuite(suite)(key, Qsc=asked + own, **given)
        else:
            wanted = OCRAChallengeResponseClient(key, suite).compute_response(asked, **given)
        values = [given.get("C", "-"), asked, own, given.get("P", "-")]
        values += [given["S"].encode().hex() if "S" in given else "-", given.get("T_precomputed", "-")]
        yield f"ocra {suite} {key.hex()} {' '.join(map(str, values))}", wanted


def main():
    program, seed = sys.argv[1:]
    rng = random.Random(seed)
    total = 0
    for name, cases in ("HOTP", hotp_cases), ("TOTP", totp_cases), ("OCRA", ocra_cases):
        cases = list(cases(rng))
        answers = ours(program, [line for line, _ in cases])
        wrong = [(case, answer) for case, answer in zip(cases, answers) if case[1] != answer]
        for (line, wanted), answer in wrong[:10]:
            print(f"{line}: ours is {answer}, theirs {wanted}", file=sys.stderr)
        if wrong or not cases:
            sys.exit(f"{name}: {len(wrong)} of {len(cases)} cases differ, with seed {seed}")
        print(f"{name}: {len(cases)} cases alike")
        total += len(cases)
    print(f"{total} codes alike, with seed {seed}")


if __name__ == "__main__":
    main()
