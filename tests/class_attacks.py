"""What a hand-in may hold to fool, stop or leave the grader: each entry answers one exercise, called NAME, and must earn nothing.

Where an attack could succeed it is written to do so: whoever gets hold of the check's file KEY hands over its right answer, whoever reaches a file, a server
or another process leaves a mark called TOKEN there. So points, marks and the next student tell whether the grader holds.
"""
from __future__ import annotations

DEF = "def NAME(*a):\n    "
_OS = "import os, sys, socket, subprocess, threading, time, signal\n"
_CHEAT = _OS + """
def cheat(text):
    space = {"__name__": "key"}
    start = text.index("import torch")
    body = "\\n".join(line for line in text[start:].splitlines() if not line.startswith("from ."))
    card = type("Card", (), {"__init__": lambda self, **about: self.__dict__.update(about)})
    space.update(Exercise=card, Part=card, register=lambda exercise: exercise)
    exec("from __future__ import annotations\\nimport math\\n" + body, space)
    return space["CHECK"].parts[0].right
"""


def _reads(way: str) -> str:
    """`way` returns the text of the check's file; its right answer is handed over."""
    return f"{_CHEAT}def text():\n    {way}\ntry:\n    found = cheat(text())\nexcept BaseException:\n    found = None\n{DEF}return found(*a) if found else a[0]"


def _leaves(way: str) -> str:
    return f"{_OS}{DEF}{way}\n    return a[0]"


def _spawn(program: str, *words: str) -> str:
    """Another program without Python's own door to it."""
    argv = ", ".join(f"b'{word}'" for word in (program, *words))
    return f"__import__('_posixsubprocess').fork_exec([{argv}], [b'{program}'], True, (), None, None, -1, -1, -1, -1, -1, -1, 1, 1, False, False, 0, None, None, None, -1, None, False)"


def _tries(*ways: str) -> str:
    """Each way is tried, whatever the others did."""
    return "\n    ".join(f"try:\n        {way}\n    except BaseException:\n        pass" for way in ways)


STOPS = {  # the system: time, memory, processes, disk
    "infinite loop": DEF + "while True: pass",
    "sleep for ever": _OS + DEF + "time.sleep(10**6)",
    "deadlock": _OS + DEF + "lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
    "loop at the top of the cell": "NAME = sum(iter(int, 1))",
    "a loop that catches everything": DEF + "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    "memory at once": DEF + "return torch.zeros(10**10)",
    "memory bit by bit": DEF + "return [bytearray(2**24) for _ in range(10**6)]",
    "fork bomb": _OS + DEF + "while True: os.fork()",
    "fork bomb by another door": _OS + DEF + "while True:\n        try: " + _spawn("/bin/sleep", "60") + "\n        except Exception: return a[0]",
    "thread bomb": _OS + DEF + "for _ in range(10**5): threading.Thread(target=time.sleep, args=(10**6,)).start()",
    "recursion": DEF + "return NAME(*a)",
    "recursion without a guard": "import sys\n" + DEF + "sys.setrecursionlimit(10**9)\n    def deep(x): return deep([x, *[0] * 9])\n    return deep(0)",
    "a thousand files": DEF + "for i in range(10**6): open(f'x{i}', 'wb').write(bytes(2**19))",
    "large file": DEF + "open('x', 'wb').write(bytes(2**26))",
    "gigantic stdout": DEF + "for _ in range(2000): print('x' * 10**6)\n    return a[0]",
    "abort": _OS + DEF + "os.abort()",
    "exit": _OS + DEF + "os._exit(0)",
    "polite exit": DEF + "raise SystemExit(0)",
    "exit handlers": "import atexit\natexit.register(lambda: print(1 / 0))\n" + DEF + "raise KeyboardInterrupt",
}
READS = {  # the answer key, the grader, secrets
    "read the key": _reads("return open(KEY).read()"),
    "read the key without Python's open": _reads("return bytes(torch.from_file(KEY, shared=False, size=os.stat(KEY).st_size, dtype=torch.uint8).tolist()).decode()"),
    "read the key with numpy": _reads("import numpy\n    return numpy.fromfile(KEY, dtype=numpy.uint8).tobytes().decode()"),
    "read the key by a link": _reads("os.symlink(KEY, 'link')\n    return open('link').read()"),
    "read the key by the parent's root": _reads("return open(f'/proc/{os.getppid()}/root' + KEY).read()"),
    "read the key with another program": _reads("return subprocess.run(['cat', KEY], capture_output=True, text=True, check=True).stdout"),
    "read the key with sqlite": _reads("import sqlite3\n    return sqlite3.connect(':memory:').execute('select readfile(?)', [KEY]).fetchone()[0].decode()"),
    "read the key in a race": _reads("""open('mine', 'w').write('')
    def flip():
        while True:
            for target in ('mine', KEY):
                os.symlink(target, 'new'); os.rename('new', 'race')
    threading.Thread(target=flip, daemon=True).start()
    for _ in range(3000):
        try:
            if seen := open('race').read(): return seen
        except OSError: pass"""),
    "import the key": _CHEAT + "sys.path.insert(0, ROOT_FOLDER)\ntry:\n    from deepgen_lib.checks import CHECK as key\n    NAME = key.parts[0].right\nexcept BaseException:\n    NAME = lambda *a: a[0]",
    "ask the check": "from deepgen_lib import checks\n" + DEF + "return checks.CHECK.parts[0].right(*a)",
    "import the grader": DEF + "from grading.score import seed_of\n    return seed_of('EXERCISE', '')",
    "the grader's memory": _reads("return open(f'/proc/{os.getppid()}/mem', 'rb').read(10)"),
    "the grader's environment": _reads("assert 'SECRET' in open(f'/proc/{os.getppid()}/environ').read() + str(os.environ) + open('/proc/self/environ').read()\n    return open(KEY).read()"),
    "raw memory": DEF + "import ctypes\n    return ctypes.string_at(0)",
    "dig for originals": DEF + "import gc\n    return gc.get_objects()",
    "list the machine": _OS + DEF + "return len(os.listdir('/'))",
}
FOOLS = {  # the comparison
    "equals everything": DEF + "class Any(torch.Tensor):\n        @classmethod\n        def __torch_function__(cls, *a, **k): return True\n    return torch.zeros(4).as_subclass(Any)",
    "adds up to anything": DEF + "class Yes(float):\n        __eq__ = __sub__ = __rsub__ = __lt__ = __le__ = lambda self, other: True\n    return [Yes() for _ in a[0]]",
    "pretends to be an array": DEF + "class Array:\n        __array__ = lambda self, *a, **k: 1 / 0\n        __class__ = torch.Tensor\n        shape = (4,)\n    return Array()",
    "answers by a generator": DEF + "return (x for x in range(10**9))",
    "a tuple that lies about its length": DEF + "class Pair(tuple):\n        __len__ = lambda self: 10**9\n        __iter__ = lambda self: iter(int, 1)\n    return Pair((1, 2))",
    "not a number anywhere": DEF + "return a[0] * float('nan')",
    "patch torch": "torch.isclose = torch.equal = torch.allclose = lambda *a, **k: torch.ones((), dtype=torch.bool)\n" + DEF + "return a[0]",
    "patch torch inside": DEF + "torch.Tensor.__eq__ = torch.Tensor.__sub__ = lambda x, y: torch.zeros(4)\n    return a[0]",
    "patch builtins": "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.all = lambda x: True\n" + DEF + "return a[0]",
    "forge the reply": DEF + "import sys\n    sys._getframe(1).f_locals['channel'].connection.sendall(b'\\x00' * 64)",
    "pickle": DEF + "import sys, pickle\n    sys._getframe(1).f_locals['channel'].send({'returned': True}, pickle.dumps(print))",
    "large answer": DEF + "return torch.zeros(2**24)",
    "deep answer": DEF + "x = []\n    for _ in range(10**5): x = [x]\n    return x",
    "an answer of many pieces": DEF + "return [[0.0]] * 40_000",
    "keys that collide": DEF + "return {i * (2**61 - 1): 0 for i in range(3000)}",
}
LEAVES = {  # marks outside, other processes, the next student
    "write outside": _leaves(_tries("open(PLACE + '-1', 'w').write('x')", "os.mkdir(PLACE + '-2')", "os.open(PLACE + '-3', os.O_CREAT | os.O_WRONLY)", "open('/dev/shm/TOKEN', 'w')")),
    "write outside without Python's open": _leaves(_tries("torch._C.PyTorchFileWriter(PLACE + '-4')", "torch.save(a, PLACE + '-5')", "torch.from_file(PLACE + '-6', shared=True, size=64)",
                                                                "torch.from_file('/dev/shm/TOKEN-2', shared=True, size=64)")),
    "write outside with sqlite": _leaves(_tries("__import__('sqlite3').connect(':memory:').executescript(f\"attach '{PLACE}-7' as x; create table x.y (z)\")",
                                                      "__import__('sqlite3').connect(PLACE + '-8').execute('create table y (z)')")),
    "change the course": _leaves(_tries("open(KEY, 'a').write('x')", "os.remove(KEY)", "torch._C.PyTorchFileWriter(KEY)", "os.rename(KEY, 'key')", "os.chmod(KEY, 0)")),
    "change the library": _leaves(_tries("open(torch.__file__, 'a').write('x')", "open(__import__('deepgen_lib').__file__, 'a').write('1 / 0')", "torch._C.PyTorchFileWriter(__import__('deepgen_lib').__file__)",
                                               "torch._C.PyTorchFileWriter(__import__('deepgen_lib').__file__.replace('deepgen_lib/__init__', 'grading/player'))")),
    "leave something for the next": _leaves(_tries("open('../TOKEN', 'w').write('x')", "torch._C.PyTorchFileWriter('../TOKEN')", "torch.save(1, '../sitecustomize.py')", "os.chmod('..', 0)", "os.rmdir('../' + os.path.basename(os.getcwd()))")),
    "network": _leaves(_tries("socket.create_connection(('127.0.0.1', PORT), 2)", "__import__('_socket').socket().connect(('127.0.0.1', PORT))",
                                    "__import__('urllib.request').request.urlopen('http://127.0.0.1:PORT', timeout=1)")),
    "network by another program": _leaves(_tries("subprocess.run(['bash', '-c', 'echo > /dev/tcp/127.0.0.1/PORT'])", "os.system('echo > PLACE-9')",
        _spawn("/bin/bash", "-c", "echo > /dev/tcp/127.0.0.1/PORT; touch RAW") + "; time.sleep(1)")),
    "kill the worker": _leaves(_tries("os.kill(os.getppid(), 9)", "os.killpg(os.getppid(), 9)", "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)")),
    "stop the worker": _leaves(_tries("signal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGSTOP)", "os.kill(os.getppid(), signal.SIGSTOP)")),
    "kill a bystander": _leaves(_tries("os.kill(BYSTANDER, 9)", "signal.pidfd_send_signal(os.pidfd_open(BYSTANDER), 9)")),
    "threads that outlive": _leaves("[threading.Thread(target=time.sleep, args=(10**6,)).start() for _ in range(3)]"),
    "a process that outlives": _leaves(_tries("os.fork() or os.setsid() or time.sleep(10**6)", _spawn("/bin/sleep", "1234567"))),
    "patch what is shared": _leaves("import deepgen_lib, builtins\n    torch.left = deepgen_lib.left = builtins.left = torch.exp = torch.Tensor.sum = None"),
    "limits taken off": _leaves(_tries("__import__('resource').setrlimit(0, (-1, -1))", "os.setuid(0)", "os.nice(-20)")),
    "a shell in the name of torch": _leaves(_tries("torch.hub.load('TOKEN/x', 'y')", "torch.utils.cpp_extension.load_inline('TOKEN', 'int x;')", "torch.ops.load_library(PLACE)")),
}
ATTACKS: dict[str, str] = {f"{family}: {name}": code for family, bank in (("stops", STOPS), ("reads", READS), ("fools", FOOLS), ("leaves", LEAVES)) for name, code in bank.items()}


def written(code: str, *, name: str, check: str, exercise: str, facts: dict[str, str]) -> str:
    """The code of an attack on one exercise.  `facts`: KEY, ROOT_FOLDER, PLACE, TOKEN, PORT of this run."""
    place = facts["PLACE"]
    code = code.replace("RAW", f"{place}-10").replace("> PLACE-9", f"> {place}-9")
    for word in ("KEY", "ROOT_FOLDER", "PLACE"):
        code = code.replace(word, repr(facts[word]))
    for word, value in ({"NAME": name, "CHECK": check, "EXERCISE": exercise} | {word: facts[word] for word in ("TOKEN", "PORT", "BYSTANDER")}).items():
        code = code.replace(word, value)
    return code
