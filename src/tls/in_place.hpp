// Growth in place (Growth::in_place): vectors never move, and one layout serves all threads.
//
// Each module owns a range of bytes, the same in every thread: of ThreadRecord::blocks if its template is
// small, of the view of the template file (views.hpp) if it is large. So a thread's block address is a sum, a
// thread is born with one copy or one store per module, and a load stores one pointer per live thread.
#pragma once

#include "tls/ranges.hpp"
#include "tls/strategy.hpp"
#include "tls/views.hpp"

namespace bobbin::tls {

class InPlace final : public Strategy {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Strategy>> create(const Options& options, Threads& threads);
  /// All records are unlisted: gives back what pooled ones still hold.
  ~InPlace() override;

 private:
  /// Where a module's blocks lie; guarded by lock_.
  struct Place {
    bool is_view;          ///< `offset` is in views, not in records
    std::uint64_t offset;  ///< of the block, from the start of the record or of the view
    std::uint64_t room;    ///< bytes taken at `offset`; those beyond the template are zero
  };

  InPlace(const Options& options, Threads& threads)
      : Strategy(options, threads), arena_size_(options.arena_size), views_(options.arena_size) {}

  Result<Vector> build(ThreadRecord& record) override;
  void drop(ThreadRecord& record, Vector seen) noexcept override;
  Result<void> make_room(std::uint32_t index, const Template& source) override;
  void publish(std::uint32_t index) noexcept override;
  void give_up(std::uint32_t index) noexcept override;
  void count(Statistics& statistics) const override;
  std::optional<std::string> broken_module(std::uint32_t index) override;
  std::optional<std::string> broken_thread(ThreadRecord& record) override;
  std::optional<std::string> broken_books() override;

  std::optional<Place> choose_place(const Template& source);
  Result<void> prepare_blocks(const Place& place, const Template& source);
  Result<void> map_views();
  void fill(ThreadRecord& record, const Place& place, const Template& source) noexcept;
  void publish_in(ThreadRecord& record, std::uint32_t index) noexcept;
  void free_foreign(ThreadRecord& record, void* block) noexcept;
  [[nodiscard]] Ranges& layout_of(const Place& place) {
    return place.is_view ? views_layout_ : blocks_layout_;
  }
  [[nodiscard]] static std::byte* block(ThreadRecord& record, const Place& place);

  const std::uint64_t arena_size_;
  ReservedArray<Place> places_;     ///< by index; guarded by lock_
  std::uint32_t views_in_use_ = 0;  ///< modules with is_view, not free; guarded by lock_
  Ranges blocks_layout_;            ///< offsets in a record; guarded by lock_
  Ranges views_layout_;             ///< offsets in a view; guarded by lock_
  Views views_;                     ///< guarded by lock_, shared for mapping and reading
};

}  // namespace bobbin::tls
