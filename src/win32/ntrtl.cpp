// ntdll's small change: bitmaps, and memory by the byte. All are leaves that touch only what they are given.
#include <algorithm>
#include <cstring>

#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr ULONG kNone = ~ULONG{0};

// ---- bitmaps ---------------------------------------------------------------------------------------------
// Bit i is bit i % 32 of word i / 32. A range that leaves the bitmap is no range: tests answer FALSE, changes
// do nothing.

bool is_range(const RTL_BITMAP& map, ULONG start, ULONG count) {
  return count != 0 && start < map.SizeOfBitMap && count <= map.SizeOfBitMap - start;
}

bool test(const RTL_BITMAP& map, ULONG bit) { return (map.Buffer[bit / 32] >> (bit % 32) & 1) != 0; }

/// Calls `visit(word, mask)` for each word that the range touches, until it answers false.
template <class Visit>
bool visit_words(const RTL_BITMAP& map, ULONG start, ULONG count, Visit visit) {
  while (count != 0) {
    const ULONG first = start % 32;
    const ULONG in_word = std::min(count, 32 - first);
    const ULONG mask = (in_word == 32 ? ~ULONG{0} : (ULONG{1} << in_word) - 1) << first;
    if (!visit(map.Buffer[start / 32], mask)) return false;
    start += in_word;
    count -= in_word;
  }
  return true;
}

BOBBIN_MS_ABI void RtlInitializeBitMap(RTL_BITMAP* map, ULONG* buffer, ULONG bits) { *map = {bits, buffer}; }

BOBBIN_MS_ABI void RtlSetBits(RTL_BITMAP* map, ULONG start, ULONG count) {
  if (!is_range(*map, start, count)) return;
  visit_words(*map, start, count, [](ULONG& word, ULONG mask) { return word |= mask, true; });
}

BOBBIN_MS_ABI void RtlClearBits(RTL_BITMAP* map, ULONG start, ULONG count) {
  if (!is_range(*map, start, count)) return;
  visit_words(*map, start, count, [](ULONG& word, ULONG mask) { return word &= ~mask, true; });
}

BOBBIN_MS_ABI void RtlSetAllBits(RTL_BITMAP* map) {
  std::fill_n(map->Buffer, (map->SizeOfBitMap + 31) / 32, ~ULONG{0});
}

BOBBIN_MS_ABI void RtlClearAllBits(RTL_BITMAP* map) {
  std::fill_n(map->Buffer, (map->SizeOfBitMap + 31) / 32, ULONG{0});
}

BOBBIN_MS_ABI BOOLEAN RtlAreBitsClear(const RTL_BITMAP* map, ULONG start, ULONG count) {
  return is_range(*map, start, count) &&
         visit_words(*map, start, count, [](ULONG word, ULONG mask) { return (word & mask) == 0; });
}

BOBBIN_MS_ABI BOOLEAN RtlAreBitsSet(const RTL_BITMAP* map, ULONG start, ULONG count) {
  return is_range(*map, start, count) &&
         visit_words(*map, start, count, [](ULONG word, ULONG mask) { return (word & mask) == mask; });
}

BOBBIN_MS_ABI ULONG RtlNumberOfSetBits(const RTL_BITMAP* map) {
  ULONG count = 0;
  visit_words(*map, 0, map->SizeOfBitMap, [&](ULONG word, ULONG mask) {
    count += static_cast<ULONG>(__builtin_popcount(word & mask));
    return true;
  });
  return count;
}

/// The first run of `count` clear bits that starts in [from, to).
ULONG find_clear(const RTL_BITMAP& map, ULONG count, ULONG from, ULONG to) {
  ULONG run = 0;
  for (ULONG bit = from; bit < map.SizeOfBitMap; ++bit) {
    if (run == 0 && bit >= to) break;
    run = test(map, bit) ? 0 : run + 1;
    if (run == count) return bit + 1 - count;
  }
  return kNone;
}

BOBBIN_MS_ABI ULONG RtlFindClearBits(const RTL_BITMAP* map, ULONG count, ULONG hint) {
  if (count > map->SizeOfBitMap) return kNone;
  if (hint >= map->SizeOfBitMap) hint = 0;
  if (count == 0) return hint & ~ULONG{7};
  const ULONG found = find_clear(*map, count, hint, map->SizeOfBitMap);
  return found != kNone ? found : find_clear(*map, count, 0, hint);
}

BOBBIN_MS_ABI ULONG RtlFindClearBitsAndSet(RTL_BITMAP* map, ULONG count, ULONG hint) {
  const ULONG found = RtlFindClearBits(map, count, hint);
  if (found != kNone) RtlSetBits(map, found, count);
  return found;
}

BOBBIN_MS_ABI PVOID RtlGetCurrentPeb() { return current_teb()->ProcessEnvironmentBlock; }

// ---- bytes -----------------------------------------------------------------------------------------------

BOBBIN_MS_ABI void RtlMoveMemory(void* to, const void* from, SIZE_T size) { std::memmove(to, from, size); }
BOBBIN_MS_ABI void RtlCopyMemory(void* to, const void* from, SIZE_T size) { std::memmove(to, from, size); }
BOBBIN_MS_ABI void RtlZeroMemory(void* to, SIZE_T size) { std::memset(to, 0, size); }
BOBBIN_MS_ABI void RtlFillMemory(void* to, SIZE_T size, int byte) { std::memset(to, byte, size); }

/// How many bytes are equal before the first that is not.
BOBBIN_MS_ABI SIZE_T RtlCompareMemory(const void* left, const void* right, SIZE_T size) {
  const auto* a = static_cast<const BYTE*>(left);
  return static_cast<SIZE_T>(std::mismatch(a, a + size, static_cast<const BYTE*>(right)).first - a);
}

const Export kExports[] = {
    HOT(kNtdll, RtlAreBitsClear),
    HOT(kNtdll, RtlAreBitsSet),
    HOT(kNtdll, RtlClearAllBits),
    HOT(kNtdll, RtlClearBits),
    HOT(kNtdll | kKernel32, RtlCompareMemory),
    HOT(kNtdll | kKernel32, RtlCopyMemory),
    HOT(kNtdll | kKernel32, RtlFillMemory),
    HOT(kNtdll, RtlFindClearBits),
    HOT(kNtdll, RtlFindClearBitsAndSet),
    HOT(kNtdll, RtlGetCurrentPeb),
    HOT(kNtdll, RtlInitializeBitMap),
    HOT(kNtdll | kKernel32, RtlMoveMemory),
    HOT(kNtdll, RtlNumberOfSetBits),
    HOT(kNtdll, RtlSetAllBits),
    HOT(kNtdll, RtlSetBits),
    HOT(kNtdll | kKernel32, RtlZeroMemory),
};

}  // namespace

std::span<const Export> ntrtl_natives() { return kExports; }

}  // namespace bobbin::win32
