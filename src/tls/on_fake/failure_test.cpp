// Memory that runs out: each operation with its first, second, ... allocation made to fail, until it asks for
// no more. After each failure the caller has the documented error, the host's books are as they were, all who
// were there go on, and the same call succeeds when memory is back. On the fake host, which keeps books.
#include <cstdio>
#include <functional>

#include "abi/status.hpp"
#include "os/fake/fake.hpp"
#include "tls/fls.hpp"
#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

constexpr int kThreads = 5;

class FailureTest : public BothWays {
 protected:
  void SetUp() override { set_up(); }
  void TearDown() override { tear_down(); }

  /// An engine with two modules, five threads, a slot; all of them in use.
  void set_up() {
    low_ = {};
    high_ = {};
    make({});
    load(small_);
    load(large_);
    auto slot = engine_->allocate_slot(teb_of(*start()));
    ASSERT_TRUE(slot);
    slot_ = *slot;
    while (threads_.size() < kThreads) start();
    for (ThreadRecord* thread : threads_) use(thread);
  }
  void tear_down() {
    expect_unchanged();
    while (!threads_.empty()) stop(threads_.back());
    used_.clear();
    small_.unload();
    large_.unload();
    expect_sound();
    engine_.reset();
  }

  void use(ThreadRecord* thread) {
    EXPECT_TRUE(shows(thread, small_) && shows(thread, large_));
    EXPECT_EQ(teb_of(*thread).TlsSlots[slot_], nullptr);
    const int mark = static_cast<int>(used_.size()) + 100;
    std::memset(block(thread, small_), mark, small_.bytes.size());
    std::memset(block(thread, large_) + 5000, mark, 10);
    teb_of(*thread).TlsSlots[slot_] = thread;
    used_.push_back({thread, static_cast<std::byte>(mark)});
  }
  /// Whoever was there has what it had.
  void expect_unchanged() const {
    expect_sound();
    for (const auto& [thread, mark] : used_) {
      EXPECT_EQ(block(thread, small_)[63], mark);
      EXPECT_EQ(block(thread, large_)[4999], large_.bytes[0]);
      EXPECT_EQ(block(thread, large_)[5009], mark);
      EXPECT_EQ(teb_of(*thread).TlsSlots[slot_], thread);
    }
  }

  /// Runs `attempt` with failure after failure, each in a process of its own, and gives how many there were.
  /// After an attempt that succeeded, `then` looks at what it made, and takes it back.
  int exhaust(const std::function<Result<void>()>& attempt, const std::function<void()>& then) {
    for (int nth = 1; nth < 1000; ++nth) {
      tear_down();
      set_up();
      const auto before = os::fake::books();
      os::fail_allocation(static_cast<std::uint64_t>(nth));
      auto result = attempt();
      const bool failed = os::fail_allocation(0) == 0;
      expect_unchanged();
      if (failed) {
        EXPECT_FALSE(result) << nth;
        if (result) return then(), nth;
        EXPECT_EQ(result.error().kind, ErrorKind::out_of_memory) << nth;
        EXPECT_EQ(result.error().status, abi::STATUS_NO_MEMORY) << nth;
        EXPECT_EQ(os::fake::books(), before) << nth;
        result = attempt();
        expect_unchanged();
      }
      EXPECT_TRUE(result) << "memory is there: " << result.error().message();
      if (!result) return nth;
      then();
      if (!failed) {
        std::printf("%d failures\n", nth - 1);
        return nth - 1;
      }
    }
    ADD_FAILURE() << "it never ends";
    return 0;
  }

  /// Runs what must not need memory while there is none.
  static void without_memory(const std::function<void()>& action) {
    os::fail_allocation(1);
    action();
    EXPECT_EQ(os::fail_allocation(0), 1u) << "it asked for memory";
  }

  struct Used {
    ThreadRecord* thread;
    std::byte mark;
  };
  Image small_{64, 1}, large_{70'000, 2};
  std::uint32_t slot_ = 0;
  std::vector<Used> used_;
};

TEST_P(FailureTest, CreatingAnEngine) {
  std::array<abi::ULONG, 2> low{};
  std::array<abi::ULONG, 32> high{};
  std::unique_ptr<Engine> made;
  const auto attempt = [&]() -> Result<void> {
    auto engine = Engine::create({.growth = GetParam(), .heap = &heap_}, low, high);
    if (!engine) return propagate(engine);
    made = std::move(*engine);
    return {};
  };
  EXPECT_GE(exhaust(attempt, [&] { made.reset(); }), 10);
}

TEST_P(FailureTest, CreatingAThread) {
  std::vector<ThreadRecord*> made;
  const auto attempt = [&]() -> Result<void> {  // more than one slab holds
    while (made.size() < 64) {
      auto record = engine_->create_thread();
      if (!record) return propagate(record);
      made.push_back(*record);
    }
    return {};
  };
  const auto then = [&] {
    without_memory([&] {
      for (ThreadRecord* record : std::exchange(made, {})) engine_->destroy_thread(record);
    });
  };
  EXPECT_EQ(exhaust(attempt, then), 2) << "a slab's address space, and its memory";
}

TEST_P(FailureTest, AttachingAThread) {
  ThreadRecord* record = nullptr;
  const auto attempt = [&]() -> Result<void> {
    if (record == nullptr) record = *engine_->create_thread();
    auto attached = engine_->attach_thread(*record);
    if (!attached) {
      EXPECT_EQ(teb_of(*record).ThreadLocalStoragePointer, nullptr);
    }
    return attached;
  };
  const auto then = [&] {
    EXPECT_TRUE(shows(record, small_) && shows(record, large_));
    without_memory([&] {
      engine_->detach_thread(*record);
      engine_->destroy_thread(std::exchange(record, nullptr));
    });
  };
  const int failures = exhaust(attempt, then);
  if (!swaps()) {
    EXPECT_EQ(failures, 2) << "a view: its address space, and the file";
  }
}

TEST_P(FailureTest, LoadingAModule) {
  for (const std::size_t size : kSizes) {
    Image image(size, 3);
    std::optional<Reservation> reservation;
    const auto attempt = [&]() -> Result<void> {
      auto prepared = engine_->prepare_module(image.as_template());
      EXPECT_EQ(image.index, 0xAABBCCDD) << "the image is not touched before the commit";
      if (!prepared) return propagate(prepared);
      reservation.emplace(std::move(*prepared));
      return {};
    };
    const auto then = [&] {
      without_memory([&] { engine_->commit_module(std::move(*std::exchange(reservation, std::nullopt))); });
      EXPECT_EQ(image.index, 2u) << "no index is lost";
      for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, image));
      expect_unchanged();
      without_memory([&] { engine_->release_module(image.index); });
      image.index = 0xAABBCCDD;
    };
    const int failures = exhaust(attempt, then);
    if (!swaps()) {
      EXPECT_EQ(failures, size <= 4096 ? 0 : 2) << "the file's size, and the bytes";
    }
  }
}

/// The first large module makes the template file, and a view for each thread. The file stays for the next.
TEST_P(FailureTest, LoadingTheFirstLargeModule) {
  int nth = 1;
  for (bool failed = true; failed; ++nth) {
    tear_down();
    make({});
    Image image(70'000, 3);
    for (int i = 0; i < kThreads; ++i) start();
    const auto before = os::fake::books();
    os::fail_allocation(static_cast<std::uint64_t>(nth));
    auto reservation = engine_->prepare_module(image.as_template());
    failed = os::fail_allocation(0) == 0;
    expect_sound();
    EXPECT_EQ(reservation.has_value(), !failed);
    if (!reservation) {
      EXPECT_EQ(reservation.error().status, abi::STATUS_NO_MEMORY);
      EXPECT_LE(os::fake::books().files, before.files + 1);
      EXPECT_LE(os::fake::books().mappings, before.mappings + 1);
      EXPECT_EQ(os::fake::books().allocations, before.allocations);
      reservation = engine_->prepare_module(image.as_template());
      ASSERT_TRUE(reservation) << "memory is back";
    }
    EXPECT_EQ(engine_->commit_module(std::move(*reservation)), 0u);
    for (ThreadRecord* thread : threads_) EXPECT_TRUE(shows(thread, image));
    engine_->release_module(0);
    while (!threads_.empty()) stop(threads_.back());
  }
  if (!swaps()) {
    EXPECT_EQ(nth - 2, 5 + 2 * kThreads) << "file, its view (2), size, bytes; 2 for each thread";
  }
  set_up();
}

TEST_P(FailureTest, ExpansionSlots) {
  std::uint32_t slot = 0;
  const auto attempt = [&]() -> Result<void> {
    low_ = {~0u, ~0u};
    auto got = engine_->allocate_slot(teb_of(*threads_[1]));
    low_ = {1u | 1u << slot_, 0};
    if (!got) {
      EXPECT_EQ(high_[0], 0u);
      return propagate(got);
    }
    slot = *got;
    return {};
  };
  const auto then = [&] {
    EXPECT_EQ(slot, 64u);
    without_memory([&] { EXPECT_TRUE(engine_->free_slot(slot)); });
  };
  EXPECT_EQ(exhaust(attempt, then), 1) << "the caller's cells";
}

TEST_P(FailureTest, CellsOfOtherThreads) {
  const auto attempt = [&] { return engine_->make_expansion_slots(teb_of(*threads_[2])); };
  const auto then = [&] {
    EXPECT_NE(teb_of(*threads_[2]).TlsExpansionSlots, nullptr);
    without_memory([&] { EXPECT_TRUE(engine_->make_expansion_slots(teb_of(*threads_[2]))); });
  };
  EXPECT_EQ(exhaust(attempt, then), 1);
}

TEST_P(FailureTest, LowSlotsAskForNothing) {
  without_memory([&] {
    auto slot = engine_->allocate_slot(teb_of(*threads_[1]));
    ASSERT_TRUE(slot);
    EXPECT_TRUE(engine_->free_slot(*slot));
  });
}

TEST_P(FailureTest, ExchangingEntries) {
  std::array<std::array<std::byte, 64>, kThreads> mine;
  std::vector<ThreadData> data;
  const auto attempt = [&]() -> Result<void> {
    data.clear();
    for (std::size_t i = 0; i < kThreads; ++i) {
      teb_of(*threads_[i]).UniqueThread = reinterpret_cast<void*>(i + 1);
      std::memcpy(mine[i].data(), block(threads_[i], small_), mine[i].size());
      data.push_back({mine[i].data()});
    }
    auto exchanged = engine_->exchange(Exchange::entries, small_.index, data);
    if (!exchanged) {
      for (const ThreadData& one : data) EXPECT_TRUE(!one.taken && one.previous == nullptr);
    }
    return exchanged;
  };
  const auto then = [&] {
    for (std::size_t i = 0; i < kThreads; ++i) {
      EXPECT_TRUE(data[i].taken);
      EXPECT_EQ(block(threads_[i], small_), mine[i].data());
      data[i] = {data[i].previous};
    }
    EXPECT_TRUE(engine_->exchange(Exchange::entries, small_.index, data));
  };
  EXPECT_EQ(exhaust(attempt, then), 1) << "the list of threads in order";
}

TEST_P(FailureTest, FiberLocalValues) {
  for (const std::uint32_t index : {1u, 100u, kFlsLimit - 1}) {
    const auto attempt = [&] { return engine_->fls().set(teb_of(*threads_[3]), index, this); };
    const auto then = [&] {
      without_memory([&] { EXPECT_TRUE(engine_->fls().set(teb_of(*threads_[3]), index, nullptr)); });
    };
    EXPECT_EQ(exhaust(attempt, then), index < 16 ? 1 : 2)
        << "the block with its chunk 0, and a chunk of cells";
  }
  without_memory([&] {
    auto index = engine_->fls().allocate(nullptr);
    ASSERT_TRUE(index);
    PlainHost host;
    EXPECT_TRUE(engine_->fls().free(*index, nullptr, host));
  });
}

BOTH_WAYS(FailureTest);

}  // namespace
}  // namespace bobbin::tls
