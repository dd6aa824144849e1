// Fiber-local storage: like explicit slots, but the cells belong to a fiber (a thread that never became one
// counts as one), there are more of them, and an index can carry a destructor.
//
// A fiber's cells hang from its block, eight chunks that are made when first needed. TEB.FlsData points to
// the block of the fiber that runs (the specification, 4.1, gives this shape, which guests may walk):
//
//     TEB.FlsData -> [ links | chunk 0 | chunk 1 | ... | chunk 7 ]
//                                 |         |
//                                 v         v
//                             [ - | 16 cells ]  [ - | 32 cells ]  ...  [ - | 2048 cells ]
//                               '-- one unused pointer leads each chunk
//
// Here: indices and values. Destructors at exit, and fibers' own blocks, are yet to come (part 3/4).
#pragma once

#include <bit>
#include <cstdint>
#include <memory>

#include "abi/teb.hpp"
#include "base/error.hpp"
#include "os/os.hpp"
#include "tls/reserved_array.hpp"

namespace bobbin::tls {

inline constexpr std::uint32_t kFlsLimit = 0xFF0;  ///< indices are 1 to kFlsLimit - 1; 0 is never handed out
inline constexpr std::size_t kFlsChunks = 8;

/// One fiber's values. Written by the fiber that runs on it, and by Fls under its lock.
struct FlsBlock {
  abi::LIST_ENTRY links;  ///< all blocks of the process; guarded by Fls's lock
  void** chunks[kFlsChunks];
};

/// Where an index lies: chunk i holds 16 << i cells.
struct FlsPlace {
  std::uint32_t chunk;
  std::uint32_t cell;  ///< counted from the chunk's unused first pointer
};
[[nodiscard]] constexpr FlsPlace fls_place(std::uint32_t index) {
  const std::uint32_t shifted = index + 16;
  const auto chunk = static_cast<std::uint32_t>(std::bit_width(shifted)) - 5;
  return {chunk, shifted - (16u << chunk) + 1};
}

/// All indices and blocks of the process.
class Fls {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Fls>> create();
  Fls(const Fls&) = delete;
  Fls& operator=(const Fls&) = delete;

  /// The lowest free index. `destructor` is the guest's callback, or null; kept for part 3/4.
  [[nodiscard]] Result<std::uint32_t> allocate(void* destructor);
  /// Frees an index and zeroes its value in every block; false if it was not allocated.
  [[nodiscard]] bool free(std::uint32_t index) noexcept;
  /// Sets the calling fiber's value, making its block and chunk on first use. The index is in range.
  [[nodiscard]] Result<void> set(abi::TEB& teb, std::uint32_t index, void* value);
  /// The thread or fiber whose block this is has ended: its values go. Null is allowed.
  void drop_block(void*& fls_data) noexcept;

 private:
  Fls();

  os::RwLock lock_;                      ///< inner to every other lock of tls/
  ReservedArray<void*> destructors_;     ///< by index: null free, kNone allocated without; guarded by lock_
  std::uint32_t lowest_maybe_free_ = 1;  ///< every index below is taken; guarded by lock_
  abi::LIST_ENTRY blocks_;               ///< guarded by lock_
};

}  // namespace bobbin::tls
