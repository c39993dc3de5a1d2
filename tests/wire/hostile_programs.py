"""Programs that try to pass tests without solving anything."""

from __future__ import annotations

FUNCTIONS = {
    "equal_to_all": """
class Yes:
    def __eq__(self, other):
        return True
def f(n):
    return Yes()
""",
    "an_int_equal_to_all": """
class Yes(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def f(n):
    return Yes(0)
""",
    "a_str_equal_to_all": """
class Yes(str):
    def __eq__(self, other):
        return True
def f(n):
    return Yes()
""",
    "a_list_that_lists_another": """
class Yes(list):
    def __iter__(self):
        return iter([4])
    __eq__ = lambda *_: True
def f(n):
    return Yes()
""",
    "a_dict_that_says_int": """
class Yes(dict):
    __class__ = int
    __eq__ = lambda *_: True
def f(n):
    return Yes()
""",
    "pickled": """
class Yes:
    def __reduce__(self):
        return (print, ())
def f(n):
    return Yes()
""",
    "patched_builtins": """
import builtins
builtins.all = builtins.any = lambda *_: True
builtins.isinstance = lambda *_: True
def f(n):
    return 0
""",
    "patched_comparison": """
import reward_server.programs.comparing as c
c.Check.accepts = lambda *_: True
c._Comparison.equal = lambda *_: True
def f(n):
    return 0
""",
    "patched_writer": """
import reward_server.programs.values as v
v.Writer.write = lambda *_: ['true']
def f(n):
    return 0
""",
    "patched_frames": """
import reward_server.frames as frames
send = frames.send
frames.send = lambda fd, m: send(fd, {'value': 0, 'outcome': 'CORRECT', 'ready': True})
def f(n):
    return 0
""",
    "patched_json": """
import json
json.dumps = lambda *_, **__: '{"value": {}}'
def f(n):
    return 0
""",
    "cleared_frames": """
import inspect, sys
frame = sys._getframe()
while frame:
    frame.f_locals.get('request', {}).clear()
    frame = frame.f_back
def f(n):
    return 0
""",
    "no_modules": """
import sys
for module in list(sys.modules):
    if module != 'sys':
        del sys.modules[module]
def f(n):
    return 0
""",
    "gone_at_once": """
import os
os._exit(0)
""",
    "killed": """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
""",
    "stopped": """
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
def f(n):
    return 0
""",
    "finished": """
raise SystemExit(0)
""",
    "closed": """
import os
os.closerange(0, 64)
def f(n):
    return 4
""",
    "no_function": """
f = 4
""",
    "a_class": """
f = type
""",
    "a_generator": """
def f(n):
    yield 4
""",
    "a_coroutine": """
async def f(n):
    return 4
""",
}
"""Each is tested with `assert f(2) == 4`, which none may pass."""

PROGRAMS = {
    "gone_at_once": """
import os
os._exit(0)
""",
    "stopped": """
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
""",
    "closed_and_busy": """
import os
os.close(1)
while True: pass
""",
    "shut_connection": """
import os, socket
socket.socket(fileno=1).shutdown(2)
""",
    "echo_of_the_connection": """
import os
os.write(1, os.read(1, 100))
""",
    "printed_mark": """
print('\\0CORRECT')
""",
    "printed_verdict": """
print('{"outcome": "CORRECT", "reward": 1.0, "value": 4}')
""",
    "printed_frame": """
import os, json, struct
body = json.dumps({'value': 4}).encode()
os.write(1, struct.pack('!I', len(body)) + body)
""",
    "right_but_failing": """
print(4)
raise SystemExit(1)
""",
    "right_but_crashing": """
import sys
sys.stdout.write('4')
sys.stdout.flush()
import ctypes
ctypes.string_at(0)
""",
    "right_but_endless": """
import threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print(4)
""",
    "deaf_to_signals": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True: pass
""",
    "drip": """
import time
while True:
    print('4', flush=True)
    time.sleep(0.1)
""",
    "deep_recursion": """
import sys
sys.setrecursionlimit(10 ** 9)
def f(): return f()
f()
""",
    "made_up_bytecode": """
code = type((lambda: 0).__code__)
exec(code(0, 0, 0, 0, 9, 0, b'\\xff' * 64, (), (), (), '', '', '', 0, b'', b''))
""",
    "deep_brackets": """
exec("(" * 3000 + ")" * 3000)
""",
    "many_signs": """
exec("x = " + "-" * 200_000 + "1")
""",
    "wide_format": """
'%099999999999d' % 1
""",
    "huge_power": """
x = 9 ** 9 ** 9
""",
    "slow_pattern": """
import re
re.match('(a+)+b', 'a' * 40)
""",
    "huge_number": """
x = int('9' * 4300) ** 100_000
""",
}
"""Each would have to print 4 and end well, which none may do."""
