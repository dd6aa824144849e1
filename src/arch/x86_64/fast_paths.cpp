// What fast_paths.S takes for granted.
#include "arch/x86_64/fast_paths.hpp"

#include "abi/teb.hpp"

namespace bobbin::arch {

static_assert(offsetof(abi::TEB, UniqueThread) == 0x48);
static_assert(offsetof(abi::TEB, LastErrorValue) == 0x68);
static_assert(offsetof(abi::TEB, Self) == 0x30);
static_assert(offsetof(abi::TEB, BobbinBeyondSlots) == 0x70);
static_assert(offsetof(abi::TEB, BobbinFlsIndices) == 0x248);
static_assert(offsetof(abi::TEB, FlsData) == 0x17C8);
static_assert(offsetof(abi::TEB, TlsSlots) == 0x1480);
static_assert(offsetof(abi::TEB, TlsExpansionSlots) == 0x1780);
static_assert(abi::TLS_MINIMUM_AVAILABLE == 64 && abi::TLS_EXPANSION_SLOTS == 1024);
static_assert(sizeof(FastPath) == 8);

}  // namespace bobbin::arch
