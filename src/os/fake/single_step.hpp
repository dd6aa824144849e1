// Looks at what a piece of code has done after each of its instructions: what a thread could see that asks
// for no lock and reads between any two of them. The processor's trap flag stops after each instruction, so
// every store in the order in which it is made is seen, deterministically, whoever makes it: the code is not
// changed for it. What it cannot show is stores that another processor sees in another order (x86 has none of
// these).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace bobbin::os::fake {

struct Watched {
  std::size_t instructions = 0;  ///< after how many it looked
  std::size_t failed_after = 0;  ///< the one after which something was wrong; 0: none
  std::string failure = {};      ///< what, and at which address in the code (`addr2line`)
};

/// Runs `action` on the calling thread and calls `look` after each instruction, until it says what is wrong.
/// `look` is called from a signal's handler: it may read memory, and nothing else. One at a time.
[[nodiscard]] Watched watch(const std::function<void()>& action, const std::function<const char*()>& look);

}  // namespace bobbin::os::fake
