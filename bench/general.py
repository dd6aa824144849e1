"""What programs do all day: start, read a thread_local, call TlsGetValue, create threads, load DLLs, allocate."""

import shutil

from harness import BOBBIN, ROOT, WINE, WORK, Suite, compile_guest, compile_mingw, compile_native, link_guest

LIBRARIES = 100


class General(Suite):
    programs = {"start": [""], "access": [""], "slots": [""], "alloc": [""], "threads": ["0", "1", "10", "100"],
                "load": [""], "calls": [""], "heap": [""], "fls": [""], "fibers": [""], "throw": [""]}

    measured = {
        "start": ("process, start to exit", ("native", 0, 1.5)),
        "access.exe": ("thread_local of the program", ("wine", 0, 1.05)),
        "access.dll": ("thread_local of a library", ("wine", 0, 1.05)),
        "get.low": ("TlsGetValue, slot < 64", ("wine", 0, 0.65)),
        "set.low": ("TlsSetValue, slot < 64", ("wine", 0, 0.65)),
        "get.high": ("TlsGetValue, slot >= 64", ("wine", 0, 0.65)),
        "set.high": ("TlsSetValue, slot >= 64", ("wine", 0, 0.65)),
        "alloc.1": ("TlsAlloc + TlsFree, 1 thread", None),
        "alloc.64": ("TlsAlloc + TlsFree, 64 threads", None),
        "alloc.1000": ("TlsAlloc + TlsFree, 1000 threads", None),
        "thread.0": ("thread create + join, 0 TLS DLLs", ("native", 0, 1.5)),
        "thread.1": ("thread create + join, 1 TLS DLL", ("native", 0, 1.5)),
        "thread.10": ("thread create + join, 10 TLS DLLs", ("native", 0, 1.5)),
        "thread.100": ("thread create + join, 100 TLS DLLs", None),
        "load": ("load + unload of a TLS DLL", ("native", 0, 3)),
        "call.into_guest": ("call, host to guest (native: pointer)", None),
        "call.into_host": ("call, guest to host (native: pointer)", None),
        "get.fls": ("FlsGetValue", ("wine", 0, 0.45)),
        "set.fls": ("FlsSetValue", ("wine", 0, 0.45)),
        "fls.1": ("FlsAlloc + FlsFree, 1 thread", None),
        "fls.1000": ("FlsAlloc + FlsFree, 1000 threads", ("wine", 0, 1)),
        "fls.overhead": ("FLS callback at thread exit, beyond its call", ("absolute", 0, 5)),
        "round_trip": ("two SwitchToFiber (native: bare switch)", ("native", 0, 1.35)),
        "life": ("CreateFiber + DeleteFiber (native: mmap + munmap)", ("native", 0, 1)),
        "heap.16": ("HeapAlloc + HeapFree, 16 bytes (native: malloc)", ("wine", 0, 1)),
        "heap.own": ("the same in a heap of one's own", ("wine", 0, 1)),
        "heap.1000": ("HeapAlloc + HeapFree, 1000 bytes", ("wine", 0, 1)),
        "heap.64k": ("HeapAlloc + HeapFree, 64 KiB", ("wine", 0, 1)),
        "heap.live": ("the same, 1000 live blocks of 64 bytes", ("wine", 0, 1)),
        "heap.threads": ("the same in 4 threads, 64 bytes", ("wine", 0, 1)),
        "throw.near": ("C++ throw, caught by the caller", ("wine", 0, 1)),
        "throw.far": ("C++ throw, caught 10 frames up", ("wine", 0, 1)),
    }

    def build(self):
        library = compile_guest("library")
        link_guest("bench_tls_000.dll", "/dll", f"/implib:{WORK / 'library.lib'}", library)
        for i in range(1, LIBRARIES):
            shutil.copyfile(WORK / "bench_tls_000.dll", WORK / f"bench_tls_{i:03}.dll")
        link_guest("callee.dll", "/dll", compile_guest("callee"))
        link_guest("access.exe", compile_guest("access"), WORK / "library.lib")
        for name in ("start", "slots", "alloc", "threads", "load", "heap", "fls", "fibers"):
            link_guest(f"{name}.exe", compile_guest(name))
        compile_mingw("throw")
        compile_native("library", "bench_tls_000.so", "-fPIC", "-shared")
        for i in range(1, LIBRARIES):
            shutil.copyfile(WORK / "bench_tls_000.so", WORK / f"bench_tls_{i:03}.so")
        compile_native("access", "access", "./bench_tls_000.so", "-Wl,-rpath,$ORIGIN")
        for name in ("start", "slots", "alloc", "threads", "load", "calls", "spawn", "heap", "fibers", "throw"):
            compile_native(name, name, "-pthread", "-ldl")

    def repeats(self, program, argument):
        """A few instructions, 1 to 4 ns: what else the machine does moves them by a quarter for seconds. Threads:
        whether an idle CPU has to be woken for the second one, 10 us or 50, is luck."""
        return {"access": 20, "slots": 10, "threads": 8}.get(program, 1)

    def derive(self, samples):
        for name, mode, system in list(samples):
            if name == "callback":
                pairs = zip(samples[name, mode, system], samples["direct", mode, system])
                samples["fls.overhead", mode, system] = [passed - direct for passed, direct in pairs]

    def command(self, program, argument, system, options):
        if program == "fls" and system == "native":
            return None
        if program == "calls" and system != "native":
            return [ROOT / "build" / "bin" / "calls_bench"] if system == "bobbin" else None
        executable = {"bobbin": [BOBBIN, "run", WORK / f"{program}.exe"], "wine": [WINE, f"{program}.exe"],
                      "native": [WORK / program]}[system]
        timed = [WORK / "spawn", options.spawns] if program == "start" else []
        return [*timed, *executable, *([argument] if argument else [])]
