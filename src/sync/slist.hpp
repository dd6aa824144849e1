// Singly linked lists for many threads without a lock: a header of 16 bytes, changed as one (cmpxchg16b). Its
// sequence number makes a header that was popped and pushed back in between look different.
//
// A pop reads the first entry's link before it knows that the entry is still on the list. As on Windows, an
// entry's memory must therefore stay mapped while others pop, or be given back only to a heap.
#pragma once

#include <atomic>
#include <cstdint>

#include "abi/types.hpp"

namespace bobbin::sync {

namespace slist {

using Header = abi::SLIST_HEADER;
using Entry = abi::SLIST_ENTRY;

inline constexpr std::uint64_t kDepthMask = 0xFFFF;
inline constexpr std::uint64_t kOneChange = 0x10000;  ///< the sequence number stands above the depth

/// Reads a header that others change; the two halves may not belong together, but then no exchange succeeds.
inline Header look(Header& header) noexcept {
  return {std::atomic_ref(header.Alignment).load(std::memory_order_acquire),
          std::atomic_ref(header.Region).load(std::memory_order_acquire)};
}

/// Stores `desired` if the header is `expected`, else loads `expected` anew.
inline bool exchange(Header& header, Header& expected, Header desired) noexcept {
  bool done;
  asm volatile("lock cmpxchg16b %1"
               : "=@ccz"(done), "+m"(header), "+a"(expected.Alignment), "+d"(expected.Region)
               : "b"(desired.Alignment), "c"(desired.Region)
               : "memory");
  return done;
}

inline Entry* first(Header header) noexcept {
  return reinterpret_cast<Entry*>(header.Region & ~std::uint64_t{15});
}

inline std::uint16_t depth(Header& header) noexcept {
  return static_cast<std::uint16_t>(look(header).Alignment & kDepthMask);
}

/// Puts the chain `head` ... `tail` of `count` entries in front; hands back what was first before.
inline Entry* push(Header& header, Entry* head, Entry* tail, std::uint32_t count) noexcept {
  Header before = look(header);
  Header after;
  do {
    std::atomic_ref(tail->Next).store(first(before), std::memory_order_relaxed);
    after.Alignment =
        ((before.Alignment + kOneChange) & ~kDepthMask) | ((before.Alignment + count) & kDepthMask);
    after.Region = reinterpret_cast<std::uint64_t>(head);
  } while (!exchange(header, before, after));
  return first(before);
}

/// Takes the first entry off, or hands back nullptr.
inline Entry* pop(Header& header) noexcept {
  Header before = look(header);
  Header after;
  do {
    if (first(before) == nullptr) return nullptr;
    Entry* const next = std::atomic_ref(first(before)->Next).load(std::memory_order_relaxed);
    after.Alignment = ((before.Alignment + kOneChange) & ~kDepthMask) | ((before.Alignment - 1) & kDepthMask);
    after.Region = reinterpret_cast<std::uint64_t>(next);
  } while (!exchange(header, before, after));
  return first(before);
}

/// Takes all entries off, as a chain.
inline Entry* flush(Header& header) noexcept {
  Header before = look(header);
  while (!exchange(header, before, {(before.Alignment + kOneChange) & ~kDepthMask, 0})) {
  }
  return first(before);
}

}  // namespace slist

}  // namespace bobbin::sync
