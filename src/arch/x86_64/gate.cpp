#include "arch/x86_64/gate.hpp"

#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace bobbin::arch {

// The assembly knows these offsets.
static_assert(offsetof(Gate, rbx) == 0 && offsetof(Gate, rbp) == 8 && offsetof(Gate, r12) == 16 &&
              offsetof(Gate, r13) == 24 && offsetof(Gate, r14) == 32 && offsetof(Gate, r15) == 40 &&
              offsetof(Gate, rsp) == 48 && offsetof(Gate, rip) == 56 && offsetof(Gate, mxcsr) == 64 &&
              offsetof(Gate, x87_control) == 68);
static_assert(offsetof(Callback, dispatch) == 0);
static_assert(offsetof(CallbackResult, integer) == 0 && offsetof(CallbackResult, floating) == 8);

namespace {

constexpr unsigned long kFsGsBaseInstructions = 1u << 1;  // HWCAP2_FSGSBASE

bool has_wrgsbase() noexcept {
  static const bool has = (getauxval(AT_HWCAP2) & kFsGsBaseInstructions) != 0;
  return has;
}

}  // namespace

void set_gs_base(void* base) noexcept {
  if (has_wrgsbase()) [[likely]] {
    asm volatile("wrgsbase %0" : : "r"(base) : "memory");
  } else {
    syscall(SYS_arch_prctl, ARCH_SET_GS, base);
  }
}

std::byte* callback_code(std::byte* code_page, std::size_t number) noexcept {
  return code_page + 16 * number;
}

Callback** callback_cell(std::byte* code_page, std::size_t number) noexcept {
  return reinterpret_cast<Callback**>(code_page + 4096 + 8 * number);
}

void write_callback_page(std::byte* code_page) noexcept {
  std::byte* const entry_cell = code_page + 4096 + 8 * kCallbacksPerPage;
  const auto entry = reinterpret_cast<std::uint64_t>(&bobbin_callback_entry);
  std::memcpy(entry_cell, &entry, sizeof entry);
  for (std::size_t i = 0; i < kCallbacksPerPage; ++i) {
    std::byte* const code = callback_code(code_page, i);
    constexpr unsigned char kLoadR10[] = {0x4C, 0x8B, 0x15};  // mov r10, [rip + to_cell]
    constexpr unsigned char kJump[] = {0xFF, 0x25};           // jmp [rip + to_entry]
    const auto to_cell =
        static_cast<std::int32_t>(reinterpret_cast<std::byte*>(callback_cell(code_page, i)) - (code + 7));
    const auto to_entry = static_cast<std::int32_t>(entry_cell - (code + 13));
    std::memcpy(code, kLoadR10, 3);
    std::memcpy(code + 3, &to_cell, 4);
    std::memcpy(code + 7, kJump, 2);
    std::memcpy(code + 9, &to_entry, 4);
  }
}

}  // namespace bobbin::arch
