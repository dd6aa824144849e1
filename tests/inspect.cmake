# `bobbin inspect` against llvm-readobj on real files: mingw's DLLs (found as for src/pe/tests.cmake) and the C and
# C++ runtimes that scripts/system-dlls puts in place. A file that is missing fails the test by name.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(BOBBIN_READOBJ NAMES llvm-readobj-22 llvm-readobj DOC "llvm-readobj, of the package llvm-22" REQUIRED)
set(BOBBIN_SYSTEM_DLLS ${CMAKE_SOURCE_DIR}/build/system CACHE PATH
    "Folder that scripts/system-dlls filled with msvcrt.dll, ucrtbase.dll, ...")

set(inspected)
foreach(name libatomic-1 libgcc_s_seh-1 libgfortran-5 libgomp-1 libobjc-4 libquadmath-0 libssp-0 libstdc++-6)
  list(APPEND inspected ${BOBBIN_MINGW_GCC_DLLS}/${name}.dll)
endforeach()
foreach(name libwinpthread-1 zlib1)
  list(APPEND inspected ${BOBBIN_MINGW_DLLS}/${name}.dll)
endforeach()
foreach(name msvcrt ucrtbase vcruntime140 vcruntime140_1 msvcp140)
  list(APPEND inspected ${BOBBIN_SYSTEM_DLLS}/${name}.dll)
endforeach()
add_test(NAME inspect COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tests/inspect_test.py
                              --bobbin $<TARGET_FILE:bobbin_command> --readobj ${BOBBIN_READOBJ} ${inspected})
set_tests_properties(inspect PROPERTIES TIMEOUT 300)
