// The service by which guests that map DLLs by themselves reach every thread (ProcessTlsInformation).
#include <cstring>

#include "tls/record.hpp"
#include "tls/strategy.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

class ExchangeTest : public BothWays {
 protected:
  /// Three threads, born in the order of their ids, and a module that gave the guest its index.
  void SetUp() override {
    BothWays::SetUp();
    placeholder_.emplace(64, 1);
    for (std::uintptr_t id = 4; id <= 12; id += 4) {
      teb_of(*start()).UniqueThread = reinterpret_cast<void*>(id);
    }
    load(*placeholder_);
  }
  void TearDown() override {
    placeholder_.reset();
    BothWays::TearDown();
  }
  /// A guest's vector of `length` entries, as Windows' loader lays one out.
  void** make_vector(std::uint64_t length) {
    auto* const header = static_cast<VectorHeader*>(heap_.allocate(16 + 8 * length));
    header->length = length;
    return reinterpret_cast<void**>(header + 1);
  }
  static void** vector(ThreadRecord* record) { return teb_of(*record).ThreadLocalStoragePointer; }
  /// HeapFree, as a guest calls it.
  bool guest_frees(void* block) {
    if (!heap_.size(block)) return engine_->take_back_vector(block);
    heap_.free(block);
    return true;
  }
  Result<void> exchange_one(Exchange what, std::uint32_t number, void* data) {
    ThreadData one{data};
    return engine_->exchange(what, number, {&one, 1});
  }
  std::optional<Image> placeholder_;
};
BOTH_WAYS(ExchangeTest);

TEST_P(ExchangeTest, AnEntryIsReplacedInAllThreadsInOrder) {
  std::byte mine[3][64];
  std::vector<ThreadData> data{{mine[0]}, {mine[1]}, {mine[2]}};
  std::vector<std::byte*> before;
  for (ThreadRecord* thread : threads_) before.push_back(block(thread, *placeholder_));
  ASSERT_TRUE(engine_->exchange(Exchange::entries, placeholder_->index, data));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(data[i].taken);
    EXPECT_EQ(data[i].previous, before[i]);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data[i].thread_id), 4 * (i + 1));
    EXPECT_EQ(block(threads_[i], *placeholder_), mine[i]);
  }
  ASSERT_TRUE(engine_->exchange(Exchange::entries, placeholder_->index, std::span(data).first(1)));
  for (std::size_t i = 0; i < 3; ++i) data[i] = {before[i]};
  ASSERT_TRUE(engine_->exchange(Exchange::entries, placeholder_->index, data));
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, *placeholder_));
}

TEST_P(ExchangeTest, BlocksOfAModuleThatHasGoneGoWithTheirThreads) {
  Image passing(64, 2);
  load(passing);
  std::vector<ThreadData> data;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    auto* const header = static_cast<BlockHeader*>(heap_.allocate(sizeof(BlockHeader) + 64));
    header->raw = header;
    data.push_back({header + 1});
  }
  ASSERT_TRUE(engine_->exchange(Exchange::entries, passing.index, data));
  for (const ThreadData& one : data) guest_frees(static_cast<void**>(one.previous)[-1]);
  unload(passing);
  stop(threads_.back());  // the others at the end
}

TEST_P(ExchangeTest, ThreadsBeingBornOrDyingArePassedBy) {
  auto unborn = engine_->create_thread();
  ASSERT_TRUE(unborn);
  engine_->detach_thread(*threads_[1]);
  std::byte mine[4][64];
  std::vector<ThreadData> data{{mine[0]}, {mine[1]}, {mine[2]}, {mine[3]}};
  ASSERT_TRUE(engine_->exchange(Exchange::entries, placeholder_->index, data));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data[1].thread_id), 12u);
  EXPECT_TRUE(data[1].taken && !data[2].taken && !data[3].taken);
  EXPECT_EQ(data[2].data, mine[2]);
  EXPECT_EQ(data[2].previous, nullptr);
  for (ThreadData& one : data)
    guest_frees(one.previous == nullptr ? nullptr : static_cast<void**>(one.previous)[-1]);
  engine_->destroy_thread(*unborn);
}

TEST_P(ExchangeTest, VectorsAreReplacedAndTheOldOnesCanBeFreed) {
  std::vector<void**> before, given;
  std::vector<ThreadData> data;
  for (ThreadRecord* thread : threads_) {
    before.push_back(vector(thread));
    data.push_back({static_cast<void*>(given.emplace_back(make_vector(2)))});
  }
  std::byte mine[64];
  given[0][1] = mine;
  ASSERT_TRUE(engine_->exchange(Exchange::vectors, 1, data));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(vector(threads_[i]), given[i]);
    EXPECT_EQ(data[i].previous, before[i]);
    EXPECT_TRUE(shows(threads_[i], *placeholder_)) << "the old entries came along";
    EXPECT_TRUE(guest_frees(before[i] - 2));
    EXPECT_FALSE(guest_frees(before[i] - 2)) << "once";
  }
  EXPECT_EQ(given[0][1], mine) << "beyond the count nothing was copied";
  expect_sound();

  // Ordinary loads: one that fits, many that do not.
  std::vector<std::unique_ptr<Image>> later;
  for (int i = 0; i < 30; ++i) {
    load(*later.emplace_back(std::make_unique<Image>(i % 3 == 0 ? 5000 : 64, i)));
    expect_sound();
    for (ThreadRecord* thread : threads_) {
      EXPECT_TRUE(shows(thread, *placeholder_));
      for (const auto& image : later) EXPECT_TRUE(shows(thread, *image));
    }
    EXPECT_EQ(vector(threads_[0]) == given[0], i == 0) << "two entries hold one more";
  }
  EXPECT_GE(engine_->statistics().retired_vectors, 3u) << "the guest's, for late readers";
  ThreadRecord* const younger = start();
  for (const auto& image : later) EXPECT_TRUE(shows(younger, *image));
}

TEST_P(ExchangeTest, AVectorThatIsTooShortChangesNothing) {
  std::vector<ThreadData> data{{make_vector(4)}, {make_vector(1)}, {make_vector(4)}};
  auto refused = engine_->exchange(Exchange::vectors, 2, data);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 0xC000000Du);
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, *placeholder_));
  EXPECT_FALSE(data[0].taken);
  for (ThreadData& one : data) EXPECT_TRUE(guest_frees(static_cast<void**>(one.data) - 2));
  EXPECT_FALSE(exchange_one(Exchange::vectors, 0, nullptr));
  EXPECT_FALSE(exchange_one(Exchange::vectors, 0, reinterpret_cast<void*>(24)));
  EXPECT_FALSE(exchange_one(Exchange::entries, kVectorCapacity, this));
  EXPECT_FALSE(exchange_one(Exchange::entries, ~0u, this));
}

TEST_P(ExchangeTest, AGuestsBlocksAndVectorsGoWithTheThread) {
  std::vector<ThreadData> data;
  for (int i = 0; i < 3; ++i) data.push_back({static_cast<void*>(make_vector(20))});
  ASSERT_TRUE(engine_->exchange(Exchange::vectors, 1, data));
  for (ThreadData& one : data) EXPECT_TRUE(guest_frees(static_cast<void**>(one.previous) - 2));
  for (ThreadData& one : data) {  // a block as the loader lays one out: what to free stands before it
    auto** const raw = static_cast<void**>(heap_.allocate(16 + 64));
    raw[1] = raw;
    one = {.data = raw + 2};
  }
  ASSERT_TRUE(engine_->exchange(Exchange::entries, placeholder_->index, data));
  for (ThreadData& one : data) {
    EXPECT_EQ(guest_frees(static_cast<void**>(one.previous)[-1]), swaps());  // in place it is no heap's
  }
  EXPECT_EQ(engine_->statistics().blocks, 3u);
  while (!threads_.empty()) stop(threads_.back());
  EXPECT_EQ(heap_.live(), 0u);
  EXPECT_EQ(engine_->statistics().blocks, 0u);
  EXPECT_EQ(engine_->statistics().vectors, 0u);
}

TEST_P(ExchangeTest, AVectorInstalledDuringALoadThatItIsTooShortForIsLeft) {
  std::vector<std::unique_ptr<Image>> more;
  for (int i = 0; i < 4; ++i) load(*more.emplace_back(std::make_unique<Image>(64, i)));
  Image late(64, 99);
  auto reservation = engine_->prepare_module(late.as_template());
  ASSERT_TRUE(reservation);
  std::vector<ThreadData> data;
  for (int i = 0; i < 3; ++i) data.push_back({static_cast<void*>(make_vector(5))});
  ASSERT_TRUE(engine_->exchange(Exchange::vectors, 5, data));
  for (ThreadData& one : data) EXPECT_TRUE(guest_frees(static_cast<void**>(one.previous) - 2));
  engine_->commit_module(std::move(*reservation));
  late.engine = engine_.get();
  for (ThreadRecord* thread : threads_) {
    EXPECT_TRUE(shows(thread, late) && shows(thread, *placeholder_) && shows(thread, *more[3]));
  }
}

TEST_P(ExchangeTest, RunsOutOfMemoryWithoutAChange) {
  std::byte mine[64];
  os::fail_allocation(1);
  auto refused = exchange_one(Exchange::entries, 0, mine);
  os::fail_allocation(0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::out_of_memory);
  for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, *placeholder_));
}

TEST_P(ExchangeTest, ZeroingASlotReachesAllThreads) {
  for (ThreadRecord* thread : threads_) teb_of(*thread).TlsSlots[9] = thread;
  EXPECT_TRUE(engine_->zero_slot(9));
  for (ThreadRecord* thread : threads_) EXPECT_EQ(teb_of(*thread).TlsSlots[9], nullptr);
  EXPECT_TRUE(engine_->zero_slot(1087));
  EXPECT_FALSE(engine_->zero_slot(1088));
}

}  // namespace
}  // namespace bobbin::tls
