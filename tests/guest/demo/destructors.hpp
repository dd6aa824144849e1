// Makes thread_local destructors safe with mingw's GCC.
//
// GCC for Windows emulates thread_local: an object lies in memory that the destructor of one pthread key
// frees, and ~Object is called by the destructor of another key. winpthreads runs them in the order in which
// the keys were made. Emulation makes its key at the first access, thus usually first, and ~Object then reads
// freed memory (on Windows as well: it is the toolchain's doing). Registering a destructor that does nothing,
// before this module touches any thread_local, makes the other key come first. With native TLS it changes
// nothing.
#pragma once

#include <cxxabi.h>

namespace destructors {

static const int come_before_emulation = abi::__cxa_thread_atexit([](void*) {}, nullptr, nullptr);

}  // namespace destructors
