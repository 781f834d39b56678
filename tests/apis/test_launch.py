"""tools/launch.py with small scripts in the place of a training."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runs import ROOT

LAUNCH = str(ROOT / 'tools' / 'launch.py')
# the same with its times cut to a second, and others as a test wants them
QUICK = f'''
import json, os, runpy, sys
sys.path.insert(0, {str(ROOT / 'tools')!r})
launch = runpy.run_path({LAUNCH!r})
vars(sys.modules[__name__]).update(launch)
main = launch['main']
main.__globals__.update(GRACE=1.0, SILENCE=3.0, BEAT=0.2)
main.__globals__.update(json.loads(os.environ.get('TIMES', '{{}}')))
sys.exit(main())
'''
HEAD = '''
import os, signal, sys, time
rank = int(os.environ['RANK'])
def on(number, code):
    signal.signal(number, lambda *_: sys.exit(code))
def ready():
    with open(f'.ready{rank}', 'w') as file:
        file.write(str(os.getpid()))
    os.rename(f'.ready{rank}', f'ready{rank}')
'''
SLEEP = 'ready()\ntime.sleep(60)\n'


def start(folder, script, processes=2, quick=True, namespace=None, arguments=(), **environment):
    """Starts a launcher; the script's output goes into ``output`` of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'quick.py').write_text(QUICK)
    (folder / 'script.py').write_text(HEAD + script)
    command = [sys.executable, 'quick.py' if quick else LAUNCH, str(processes), 'script.py',
               *arguments]
    if namespace is not None:
        command = ['ip', 'netns', 'exec', namespace, *command]
    with open(folder / 'output', 'w') as output:
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT,
                                env={**os.environ, **environment})


def wait_ready(folder, *ranks):
    """The pids of workers, as soon as they are ready."""
    until = time.monotonic() + 30
    files = [folder / f'ready{rank}' for rank in ranks]
    while not all(file.is_file() for file in files):
        assert time.monotonic() < until, (folder / 'output').read_text()
        time.sleep(0.02)
    return [int(file.read_text()) for file in files]


def end(launcher, folder, timeout=30):
    """Exit code, seconds and output."""
    began = time.monotonic()
    try:
        code = launcher.wait(timeout)
    except subprocess.TimeoutExpired:
        launcher.kill()
        raise
    return code, time.monotonic() - began, (folder / 'output').read_text()


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().split(') ')[1][0] != 'Z'
    except OSError:
        return False


def test_environment_and_arguments(tmp_path):
    script = '''
names = ['RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'OMP_NUM_THREADS']
os.write(1, f'{[os.environ[name] for name in names]} {sys.argv[1:]}\\n'.encode())
'''
    environment = {'OMP_NUM_THREADS': '', 'NNODES': '1'}
    launcher = start(tmp_path, script, arguments=['a b', '--x=1'], quick=False, **environment)
    code, _, output = end(launcher, tmp_path)
    assert code == 0
    assert sorted(output.splitlines()) == [
        f"['{rank}', '{rank}', '2', '2', '127.0.0.1', ''] ['a b', '--x=1']" for rank in (0, 1)]
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    done = [subprocess.run([sys.executable, LAUNCH, str(n), '-c',
                            'import os; os.write(1, '
                            'f"{os.environ.get(\'OMP_NUM_THREADS\')}\\n".encode())'],
                           env=environment, text=True, capture_output=True).stdout for n in (1, 2)]
    assert done == ['None\n', '1\n1\n']


@pytest.mark.parametrize('argv', [[], ['0', 'x.py'], ['two', 'x.py'], ['2']])
def test_usage(argv):
    done = subprocess.run([sys.executable, LAUNCH, *argv], text=True, capture_output=True)
    assert done.returncode == 1 and 'Usage: launch.py' in done.stderr


@pytest.mark.parametrize('environment, message', [
    (dict(NNODES='two'), 'set NNODES to a number'),
    (dict(NNODES='2'), 'set NODE_RANK to a number'),
    (dict(NNODES='2', NODE_RANK='0'), 'set MASTER_ADDR to the address of node 0'),
    (dict(NNODES='2', NODE_RANK='2', MASTER_ADDR='x'), 'NODE_RANK to 0 ... 1'),
    (dict(NNODES='2', NODE_RANK='0', MASTER_ADDR='x', MASTER_PORT='65535'), '1 ... 65534'),
])
def test_settings_of_several_nodes(environment, message):
    done = subprocess.run([sys.executable, LAUNCH, '1', 'x.py'], text=True, capture_output=True,
                          env={**os.environ, **environment})
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_passed_on_and_75_returned(tmp_path, number):
    """A rank that still leaves after its checkpoint is waited for; that is no death."""
    launcher = start(tmp_path, f'on({int(number)}, 75)\ntry:\n    {SLEEP.replace(chr(10), "; ")}\n'
                     'finally:\n    signal.signal(15, signal.SIG_IGN); time.sleep(0.5 * (1 - rank))'
                     '\n    print("left", rank, flush=True)\n')
    wait_ready(tmp_path, 0, 1)
    launcher.send_signal(number)
    code, seconds, output = end(launcher, tmp_path)
    assert code == 75 and seconds < 5 and 'launch.py' not in output
    assert output.splitlines() == ['left 1', 'left 0']


def test_signal_before_the_workers_can_handle_it(tmp_path):
    """It ends them, and there is nothing to save: to be started again all the same."""
    launcher = start(tmp_path, SLEEP)
    wait_ready(tmp_path, 0, 1)
    launcher.send_signal(signal.SIGUSR1)
    assert end(launcher, tmp_path)[0] == 75


@pytest.mark.parametrize('handler', ['on(10, 75)', ''])
def test_one_rank_stops(tmp_path, handler):
    """One that was signalled alone, before it could agree with the others, or handle it."""
    launcher = start(tmp_path, f'{handler}\n{SLEEP}')
    pids = wait_ready(tmp_path, 0, 1)
    os.kill(pids[1], signal.SIGUSR1)
    code, seconds, output = end(launcher, tmp_path)
    assert code == 75 and seconds < 5
    assert ('was killed by signal 10' in output) == (not handler)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize('tool, slow', [('train.py', 'rescom_mm'), ('launch.py', 'ctypes')])
def test_signal_while_modules_are_imported(tmp_path, tool, slow, number):
    """Even inside an import that catches everything."""
    (tmp_path / f'{slow}.py').write_text(
        'import time\ntry:\n    print("importing", flush=True); time.sleep(60)\n'
        'except BaseException:\n    time.sleep(60)\n')
    process = subprocess.Popen([sys.executable, str(ROOT / 'tools' / tool), '1', 'x'], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert process.stdout is not None and process.stdout.readline() == 'importing\n'
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 75 and error == (
        f'{number.name}: stopped outside a training; nothing to save, start it again\n')


@pytest.mark.skipif(sys.platform != 'linux', reason='a mutex is 0 at first on Linux')
def test_signal_while_a_c_function_blocks(tmp_path):
    """As torch's rendezvous does. One to a process that was forked is not for its parent."""
    (tmp_path / 'rescom_mm' / 'apis').mkdir(parents=True)
    (tmp_path / 'rescom_mm' / '__init__.py').touch()
    (tmp_path / 'rescom_mm' / 'apis' / 'train.py').write_text('''
import ctypes, os, time
def main():
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(1)
    time.sleep(0.2)  # Python forgets signals that come while it forks
    os.kill(child, 15)
    print(os.waitpid(child, 0)[1] >> 8, flush=True)
    time.sleep(0.1)
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    print('blocked', flush=True)
    libc.pthread_mutex_lock(mutex), libc.pthread_mutex_lock(mutex)
''')
    process = subprocess.Popen([sys.executable, str(ROOT / 'tools' / 'train.py')], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, 'PYTHONPATH': str(tmp_path)})
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ['75\n', 'blocked\n']
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 75 and error.count('SIGTERM: stopped') == 2  # the child's too


def test_ctrl_c(tmp_path):
    launcher = start(tmp_path, SLEEP)
    wait_ready(tmp_path, 0, 1)
    launcher.send_signal(signal.SIGINT)
    code, seconds, output = end(launcher, tmp_path)
    assert code == 130 and seconds < 5 and output.count('KeyboardInterrupt') == 2

    launcher = start(tmp_path / 'again', f'signal.signal(2, signal.SIG_IGN)\n{SLEEP}')
    wait_ready(tmp_path / 'again', 0, 1)
    launcher.send_signal(signal.SIGINT)
    time.sleep(0.5)
    launcher.send_signal(signal.SIGINT)  # the second time at once
    assert end(launcher, tmp_path / 'again')[1] < 5


@pytest.mark.parametrize('how, code', [('os.kill(os.getpid(), 9)', 137), ('sys.exit(3)', 3),
                                       ('raise RuntimeError("so it is")', 1)])
def test_a_rank_that_dies_ends_the_others(tmp_path, how, code):
    """Also one that does not want to; and what they have started themselves."""
    launcher = start(tmp_path, f'''
signal.signal(15, signal.SIG_IGN)
if rank == 0:
    child = os.fork()
    if child == 0:
        open('child', 'w').write(str(os.getpid()))
        time.sleep(60)
    ready()
    time.sleep(60)
while not os.path.exists('ready0'):
    time.sleep(0.05)
ready()
{how}
''')
    pids = wait_ready(tmp_path, 0, 1)
    ended, seconds, output = end(launcher, tmp_path)
    assert ended == code and seconds < 8
    said = [line for line in output.splitlines() if line.startswith('launch.py: rank')]
    how = 'was killed by signal 9' if code == 137 else f'ended with {code}'
    assert said[0].startswith(f'launch.py: rank 1 (pid {pids[1]} on {socket.gethostname()}) {how};')
    assert 'rank 0' in said[1] and len(said) == 2
    assert ('RuntimeError: so it is' in output) == (code == 1)  # readable as it is
    assert not alive(pids[0]) and not alive(int((tmp_path / 'child').read_text()))


def test_no_orphans(tmp_path):
    """Workers go with their launcher even if that gets SIGKILL."""
    launcher = start(tmp_path, f'signal.signal(15, signal.SIG_IGN)\n{SLEEP}')
    pids = wait_ready(tmp_path, 0, 1)
    launcher.kill()
    launcher.wait()
    until = time.monotonic() + 5
    while any(map(alive, pids)):
        assert time.monotonic() < until
        time.sleep(0.05)


def nodes(folder, scripts, namespaces=(None,) * 3, address='127.0.0.1', **times):
    """A launcher for each script, as on nodes of their own; none where that is None."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1] - 1
    return [start(folder / str(node), script, processes=1, namespace=namespaces[node],
                  NNODES=str(len(scripts)), NODE_RANK=str(node), MASTER_ADDR=address,
                  MASTER_PORT=str(port), TIMES=json.dumps(times))
            for node, script in enumerate(scripts) if script is not None]


def test_nodes_end_together(tmp_path):
    """A node that fails ends those that would wait for it."""
    launchers = nodes(tmp_path, [SLEEP, f'{SLEEP}',
                                 'ready()\nassert os.environ["WORLD_SIZE"] == "3"\n'
                                 'while not os.path.exists("../0/ready0"): time.sleep(0.1)\n'
                                 'time.sleep(1); sys.exit(4)'])
    ended = [end(launcher, tmp_path / str(node)) for node, launcher in enumerate(launchers)]
    assert [code for code, _, _ in ended] == [4, 4, 4]
    assert 'node 2 ended with 4' in ended[0][2] and 'node 0 ended with 4' in ended[1][2]


def test_nodes_stop_together(tmp_path):
    """And one that is done before the others is no loss."""
    stop = f'on(15, 75)\n{SLEEP}'
    launchers = nodes(tmp_path, [stop, stop])
    wait_ready(tmp_path / '1', 1)
    wait_ready(tmp_path / '0', 0)
    time.sleep(1)
    launchers[1].send_signal(signal.SIGTERM)
    assert [end(launcher, tmp_path / str(node))[0]
            for node, launcher in enumerate(launchers)] == [75, 75]

    done = 'ready()\ntime.sleep({})'
    launchers = nodes(tmp_path / 'done', [done.format(0.5), done.format(2), done.format(1)])
    for node, launcher in enumerate(launchers):
        code, _, output = end(launcher, tmp_path / 'done' / str(node))
        assert code == 0 and 'launch.py' not in output


@pytest.mark.parametrize('gone', [0, 1])
def test_node_whose_launcher_dies(tmp_path, gone):
    launchers = nodes(tmp_path, [SLEEP, SLEEP])
    pids = wait_ready(tmp_path / '0', 0) + wait_ready(tmp_path / '1', 1)
    time.sleep(1)
    launchers[gone].kill()
    launchers[gone].wait()
    code, seconds, output = end(launchers[1 - gone], tmp_path / str(1 - gone))
    assert code == 1 and seconds < 8 and f'node {gone} has vanished' in output
    assert not any(map(alive, pids))


def test_node_that_never_comes(tmp_path):
    """The others say for which they wait, and end together."""
    launchers = nodes(tmp_path, [SLEEP, SLEEP, None, None], NOTICE=0.1, FIRST_CONTACT=1.0)
    launcher, = nodes(tmp_path / 'alone', [None, SLEEP], NOTICE=0.1, FIRST_CONTACT=0.3)
    ended = [end(launcher, tmp_path / str(node)) for node, launcher in enumerate(launchers)]
    assert [code for code, _, _ in ended] == [1, 1]
    said = ended[0][2].splitlines()
    assert said[0].startswith('launch.py: waiting for node(s) ') and said[0].endswith('2, 3')
    assert said[1].startswith('launch.py: gave up waiting for node(s) 2, 3; check NNODES')
    assert 'node 0 ended with 1' in ended[1][2] and 'gave up' not in ended[1][2]

    code, seconds, output = end(launcher, tmp_path / 'alone' / '1')
    assert code == 1 and seconds < 5 and output.count('Traceback') == 0
    waiting, gave_up = output.splitlines()
    assert re.fullmatch(r'launch.py: waiting for node 0 at 127.0.0.1:\d+ \(.*refused\)', waiting)
    assert gave_up.startswith('launch.py: gave up waiting for node 0 at 127.0.0.1:')


def test_node_that_comes_late(tmp_path):
    """Until it has come, its silence is no death."""
    script = 'while not os.path.exists("../late"): time.sleep(0.05)\n'
    times = dict(NOTICE=0.1, SILENCE=0.3)
    first, = nodes(tmp_path, [script, None], **times)
    time.sleep(0.5)
    port = Path(f'/proc/{first.pid}/environ').read_text().split('MASTER_PORT=')[1].split('\0')[0]
    late = start(tmp_path / '1', 'time.sleep(0.3)\nopen("../late", "w")', processes=1, NNODES='2',
                 NODE_RANK='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=port, TIMES='{}')
    assert end(first, tmp_path / '0')[::2] == (0, 'launch.py: waiting for node(s) 1\n')
    assert end(late, tmp_path / '1')[::2] == (0, '')


@pytest.fixture
def two_hosts():
    """Two network namespaces with a cable between them: their names and addresses."""
    names = [f'rescom{os.getpid()}{end}' for end in 'ab']
    cable = [f'rc{os.getpid()}{end}' for end in 'ab']
    addresses = ['10.213.77.1', '10.213.77.2']
    commands = [*(f'ip netns add {name}' for name in names),
                f'ip link add {cable[0]} type veth peer name {cable[1]}']
    for name, link, address in zip(names, cable, addresses):
        commands += [f'ip link set {link} netns {name}',
                     f'ip -n {name} address add {address}/24 dev {link}',
                     f'ip -n {name} link set {link} up', f'ip -n {name} link set lo up']
    try:
        for command in commands:
            try:
                done = subprocess.run(command.split(), text=True, capture_output=True)
            except OSError as error:
                pytest.skip(f'no ip command: {error}')
            if done.returncode != 0:
                pytest.skip(f'no network namespaces here: {command}: {done.stderr.strip()}')
        yield names, cable, addresses
    finally:
        for name in names:
            subprocess.run(['ip', 'netns', 'delete', name], capture_output=True)


def test_host_that_vanishes(tmp_path, two_hosts):
    """Its cable is pulled: no connection is ever closed."""
    names, cable, addresses = two_hosts
    launchers = nodes(tmp_path, [SLEEP, SLEEP], names, addresses[0])
    wait_ready(tmp_path / '0', 0)
    wait_ready(tmp_path / '1', 1)
    time.sleep(2)
    subprocess.run(['ip', '-n', names[1], 'link', 'set', cable[1], 'down'], check=True)
    for node, launcher in enumerate(launchers):
        code, seconds, output = end(launcher, tmp_path / str(node))
        assert code == 1 and seconds < 10 and f'node {1 - node} has vanished' in output
