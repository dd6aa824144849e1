// Growth in place (Growth::in_place): vectors never move, and one layout serves all threads.
//
// Each module owns a range of bytes, the same in every thread: of ThreadRecord::blocks if its template is
// small, of the view of the template file (views.hpp) if it is large. So a thread's block address is a sum, a
// thread is born with one copy or one store per module, and a load stores one pointer per live thread.
#pragma once

#include <cstdint>
#include <string>

#include "tls/engine.hpp"
#include "tls/ranges.hpp"
#include "tls/threads.hpp"
#include "tls/views.hpp"

namespace bobbin::tls {

class InPlace {
 public:
  [[nodiscard]] static Result<std::unique_ptr<InPlace>> create(const Options& options, Threads& threads);

  [[nodiscard]] Result<void> attach(ThreadRecord& record);
  void detach(ThreadRecord& record) noexcept;

  [[nodiscard]] Result<std::uint32_t> prepare(const Template& module);
  void commit(std::uint32_t index) noexcept;
  void cancel(std::uint32_t index) noexcept;
  void release(std::uint32_t index) noexcept;

  /// All records are unlisted: gives back what pooled ones still hold.
  ~InPlace();

  [[nodiscard]] std::optional<std::string> broken_invariant();

 private:
  enum class State : std::uint8_t { free, prepared, live };

  /// One index. All fields are guarded by lock_.
  struct Module {
    State state;
    bool is_view;          ///< `offset` is in views, not in records
    std::uint64_t offset;  ///< of the block, from the start of the record or of the view
    std::uint64_t room;    ///< bytes taken at `offset`; those beyond the template are zero
    Template source;
  };

  InPlace(const Options& options, Threads& threads)
      : threads_(threads),
        honour_alignment_(options.honour_alignment),
        arena_size_(options.arena_size),
        views_(options.arena_size) {}

  Result<void> validate(const Template& module) const;
  [[nodiscard]] std::uint32_t lowest_free() const;
  bool choose_place(Module& module);
  Result<void> prepare_blocks(const Module& module);
  Result<void> map_views();
  void build(ThreadRecord& record, const Module& module) noexcept;
  static void expose_vector(ThreadRecord& record, std::uint32_t entries) noexcept;
  void publish(ThreadRecord& record, std::uint32_t index) noexcept;
  static void publish_to_guest_vector(ThreadRecord& record, void** guest, std::uint32_t index,
                                      void* at) noexcept;
  void forget(std::uint32_t index) noexcept;
  [[nodiscard]] Ranges& layout_of(const Module& module) {
    return module.is_view ? views_layout_ : blocks_layout_;
  }
  [[nodiscard]] static std::byte* block(ThreadRecord& record, const Module& module);
  [[nodiscard]] std::optional<std::string> broken_module(std::uint32_t index);
  [[nodiscard]] std::optional<std::string> broken_thread(ThreadRecord& record);

  Threads& threads_;
  const bool honour_alignment_;
  const std::uint64_t arena_size_;

  /// The modules lock: births and deaths of threads share it, changes of the set of modules exclude them.
  os::RwLock lock_;
  ReservedArray<Module> modules_;   ///< by index; guarded by lock_
  std::uint32_t high_ = 0;          ///< one past the largest index in use; guarded by lock_
  std::uint32_t live_ = 0;          ///< modules in State::live; guarded by lock_
  std::uint32_t views_in_use_ = 0;  ///< modules with is_view, not free; guarded by lock_
  Ranges blocks_layout_;            ///< offsets in a record; guarded by lock_
  Ranges views_layout_;             ///< offsets in a view; guarded by lock_
  Views views_;                     ///< guarded by lock_, shared for mapping and reading
};

}  // namespace bobbin::tls
