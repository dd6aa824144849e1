// Growth by swapping (Growth::swap): as Windows has done it since Vista.
//
// All vectors have one common length; which indices are taken is a bitmap of that size (here: the table of
// modules up to length_). A module takes the lowest clear bit. If there is none, the bitmap grows by a step,
// and each vector is outgrown.
//
//   prepare   for each active thread a block, and if the bitmap is to grow a vector of the new length: all
//             that can fail
//   commit    walks the threads and hands each its block, or its vector with the old entries and the block in
//             it, exchanging the old one back:
//               - threads being born or dying (TEB+58h is NULL) are passed by; what was prepared for a thread
//                 that has gone meanwhile is left over, and freed
//               - an old block, of a module that had the index before, is freed at once
//               - an old vector is not: its thread may stand between reading gs:[58h] and the entry. It is
//                 retired until the thread ends
//   release   clears the bit. Blocks stay in the vectors until the index is taken again or their thread ends
//
// Blocks and vectors come from the guest's heap.
#pragma once

#include "tls/strategy.hpp"

namespace bobbin::tls {

class Swap final : public Strategy {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Strategy>> create(const Options& options, Threads& threads);

 private:
  Swap(const Options& options, Threads& threads) : Strategy(options, threads), step_(options.growth_step) {}

  Result<Vector> build(ThreadRecord& record) override;
  void drop(ThreadRecord& record, Vector seen) noexcept override;
  Result<void> make_room(std::uint32_t index, const Template& source) override;
  void publish(std::uint32_t index) noexcept override;
  void give_up(std::uint32_t index) noexcept override;
  void count(Statistics& statistics) const override;
  std::optional<std::string> broken_module(std::uint32_t index) override;
  std::optional<std::string> broken_thread(ThreadRecord& record) override;
  std::optional<std::string> broken_books() override;

  [[nodiscard]] std::uint32_t length_for(std::uint32_t index) const;
  [[nodiscard]] Result<void> prepare_vectors(std::uint32_t index, std::uint32_t length);
  void hand_out(ThreadRecord& record, std::uint32_t index, void* block) noexcept;
  void drop_spares() noexcept;
  [[nodiscard]] bool anything_prepared() const;

  [[nodiscard]] void* make_block(const Template& source);
  void push(std::uint32_t index, void* block) noexcept;
  [[nodiscard]] void* pop(std::uint32_t index) noexcept;

  const std::uint32_t step_;
  std::uint32_t length_ = 0;  ///< the common length; guarded by lock_
  std::uint32_t pending_ =
      0;  ///< what it is to be once what is prepared is committed, or 0; guarded by lock_
  /// By index: blocks prepared for threads that do not have them yet. Taken from under lock_ exclusively;
  /// threads being born add theirs, sharing it.
  ReservedArray<std::atomic<BlockHeader*>> prepared_;
  VectorHeader* spares_ = nullptr;  ///< vectors prepared likewise, of length pending_ or length_; lock_
  std::uint64_t growths_ = 0;       ///< guarded by lock_
  std::uint64_t unused_ = 0;        ///< guarded by lock_
};

}  // namespace bobbin::tls
