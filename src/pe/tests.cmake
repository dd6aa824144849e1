# Where mingw keeps its runtime DLLs. The tests that read them fail, and say so, when they are not there.
find_path(BOBBIN_MINGW_GCC_DLLS libgcc_s_seh-1.dll
          PATHS /usr/lib/gcc/x86_64-w64-mingw32/12-posix /usr/lib/gcc/x86_64-w64-mingw32/13-posix
                /usr/lib/gcc/x86_64-w64-mingw32/14-posix NO_DEFAULT_PATH
          DOC "Folder with libgcc_s_seh-1.dll and libstdc++-6.dll (package g++-mingw-w64-x86-64-posix)")
find_path(BOBBIN_MINGW_DLLS libwinpthread-1.dll PATHS /usr/x86_64-w64-mingw32/lib NO_DEFAULT_PATH
          DOC "Folder with libwinpthread-1.dll and zlib1.dll (packages mingw-w64-x86-64-dev, libz-mingw-w64)")
target_compile_definitions(pe_test PRIVATE BOBBIN_MINGW_GCC_DLLS="${BOBBIN_MINGW_GCC_DLLS}"
                                           BOBBIN_MINGW_DLLS="${BOBBIN_MINGW_DLLS}")
