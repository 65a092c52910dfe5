"""The SIMD path of this process: FASTPREP_SIMD (portable, sse2, avx2, neon) if set, the best one if not."""

cdef extern from "base/cpu.h" nogil:
    const char *simd_path_name(const char *name)

cdef bytes _wanted = os.environ.get("FASTPREP_SIMD", "").encode()
cdef const char *_path = simd_path_name(_wanted)
if _path == NULL:
    raise ImportError(
        f"FASTPREP_SIMD={_wanted.decode()!r} is not a SIMD path of this machine; "
        "set it to 'portable', 'sse2' or 'avx2' (x86-64), or 'neon' (ARM), or unset it to have the best one chosen"
    )

#: Its name.
simd = _path.decode()
