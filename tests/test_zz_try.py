import time
from gitrelease.commands.init import InitRequest, init
from gitrelease.commands.verify import verify
from gitrelease.settings import Settings
from gitrelease.wiring import open_desk
from tests.commands.test_init import alone, begin, FILES
from tests.commands.test_verify import told, attacked, audit, propose
from tests.kit.shop import *

def test_init(bench):
    clone = alone(bench, signing=True)
    clone.path.mkdir()
    for p, t in FILES.items():
        (clone.path/p).parent.mkdir(parents=True, exist_ok=True); (clone.path/p).write_text(t)
    server = bench.server()
    made = begin(bench, clone.path, server=str(server.path)) if 0 else begin(bench, clone.path)
    print(made.pushed)
    clone.git("remote","add","origin",str(server.path))
    print(clone.git("branch","-a"))
    clone.push("main","production")
    desk = open_desk(Settings(directory=clone.path, environ=bench.environ))
    desk.fetch()
    r = verify(desk); print(r); assert r.ok

def test_perf(attacked):
    for n in range(12):
        f=f"jobs/sales/j{n}.job.yaml"
        shop=attacked
        pkg=propose(shop,{f: job_yaml(f"j{n}")}, f); shop.person("dep-1").approve(pkg)
    shop.person("sync").sync()
    import gitrelease.repo.run as run, collections
    c=collections.Counter(); old=run._start
    def st(argv, **k):
        rest=[a for a in argv if not a.startswith("-") and "=" not in a]
        c[rest[1]]+=1
        return old(argv, **k)
    run._start=st
    t=time.monotonic(); r=audit(shop); print(time.monotonic()-t, r.ok, r.checked, c)
    import cProfile,pstats
    pr=cProfile.Profile(); pr.enable(); audit(shop); pr.disable(); pstats.Stats(pr).sort_stats("cumtime").print_stats(35)
    assert 0
