import os, time, subprocess, json
import pytest
from tests.archive.disks import *
from tests.archive.results import *
CAL=("--discover","calendar")
WISH = ("-m", "spot", "-t", "klines", "-i", "1m", "-s", "BTCUSDT", "-s", "ETHUSDT", "-s", "ADAUSDT", "--start", "2025-07-13", "--end", "2025-07-15")

@pytest.mark.parametrize("kib", [0,4,8,16,24,40,64,100,150,200,300])
@pytest.mark.parametrize("disc", ["calendar","listing"])
def test_x(run, archive, kib, disc, capsys):
    with small_disk(run, "size=4m") as disk:
        disk.leave_free(kib)
        t=time.monotonic()
        code,out,err=disk.run("collect",*WISH,"--discover",disc,"-o",ROOT,"--json")
        with capsys.disabled():
            print("=====",disc,kib,code,"json" if out else "NOJSON",round(time.monotonic()-t,1))
            print("   ",err[-600:] if "Traceback" not in err else "TRACEBACK "+err[-1500:])
            print("   ",[p.name for p in disk.root.rglob("report.json")], len(list(disk.root.rglob("data/**/*.zip"))))
            if out:

                print("   ", json.loads(out)["outcomes"], json.loads(out)["error"])
        disk.remount("size=40m")
        t=time.monotonic()
        code,out,err=disk.run("collect",*WISH,"--discover",disc,"-o",ROOT,"--json")
        with capsys.disabled(): print("   again", code, json.loads(out)["outcomes"] if out else err, round(time.monotonic()-t,1))
