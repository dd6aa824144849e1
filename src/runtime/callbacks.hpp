// Host functions that guests call: code pages, and the way from the guest's call to C++ and back.
#pragma once

#include <vector>

#include <bobbin/bobbin.hpp>

#include "arch/x86_64/gate.hpp"
#include "memory/address_space.hpp"
#include "os/os.hpp"

namespace bobbin::detail {

/// Thread-safe. The pages live as long as this object.
class CallbackPages {
 public:
  explicit CallbackPages(memory::AddressSpace& space) : space_(space) {}
  ~CallbackPages();

  /// Code that enters `target`. STATUS_NO_MEMORY when there is no room.
  [[nodiscard]] Result<void*> add(CallbackBase* target);
  /// The code is free for another; a guest that still calls it calls something else.
  void remove(void* code, const CallbackBase* target) noexcept;

 private:
  struct Slot : arch::Callback {
    CallbackBase* target = nullptr;
  };
  struct Page {
    std::byte* code;
    std::vector<std::unique_ptr<Slot>> slots;
  };
  static void dispatch(arch::Callback* self, const std::uint64_t* cells, const double* floats,
                       arch::CallbackResult* result);
  [[nodiscard]] Result<void> add_page();

  memory::AddressSpace& space_;
  os::Mutex mutex_;
  std::vector<Page> pages_;                                ///< guarded by mutex_
  std::vector<std::pair<std::size_t, std::size_t>> free_;  ///< page and slot; guarded by mutex_
};

}  // namespace bobbin::detail
