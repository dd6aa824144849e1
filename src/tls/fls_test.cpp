#include "tls/fls.hpp"

#include <algorithm>
#include <functional>
#include <shared_mutex>
#include <thread>

#include "tls/test_support.hpp"

namespace bobbin::tls {
namespace {

/// What callbacks are told, and what they do then.
struct Note {
  std::vector<int> told;
  std::function<void(int)> act = [](int) {};
};
Note* g_note = nullptr;

BOBBIN_MS_ABI void note(void* value) {
  const int number = static_cast<int>(reinterpret_cast<std::uintptr_t>(value));
  g_note->told.push_back(number);
  g_note->act(number);
}
void* const kNote = reinterpret_cast<void*>(&note);

void* number(std::uintptr_t n) { return reinterpret_cast<void*>(n); }

class FlsTest : public EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    g_note = &note_;
  }
  Fls& fls() { return engine_->fls(); }
  void* get(const abi::TEB& teb, std::uint32_t index) {
    void** const at = fls().cell(teb.FlsData, index);
    return at == nullptr ? nullptr : *at;
  }
  void set(abi::TEB& teb, std::uint32_t index, void* value) { ASSERT_TRUE(fls().set(teb, index, value)); }
  std::vector<std::uint32_t> allocate(std::size_t count, void* callback = kNote) {
    std::vector<std::uint32_t> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back(*fls().allocate(callback));
    return made;
  }
  bool free(std::uint32_t index, void* own = nullptr) { return fls().free(index, own, host_); }

  std::vector<std::uint32_t> holders(std::uint32_t index, FlsWait whom) {
    std::vector<std::uint32_t> ids;
    fls().add_holders(index, whom, ids);
    return ids;
  }

  Note note_;
  PlainHost host_;
};

TEST_F(FlsTest, PlacesFillEightChunks) {
  std::uint32_t index = 0;
  for (std::uint32_t chunk = 0; chunk < kFlsChunks; ++chunk) {
    for (std::uint32_t cell = 1; cell <= 16u << chunk; ++cell, ++index) {
      EXPECT_EQ(fls_place(index).chunk, chunk);
      EXPECT_EQ(fls_place(index).cell, cell);
    }
  }
  EXPECT_EQ(index, kFlsLimit);
}

TEST_F(FlsTest, LowestFreeNeverZero4079OfThem) {
  for (std::uint32_t expected = 1; expected < kFlsLimit; ++expected)
    EXPECT_EQ(fls().allocate(nullptr), expected);
  EXPECT_FALSE(fls().allocate(nullptr));
  EXPECT_TRUE(free(500));
  EXPECT_FALSE(free(500));
  EXPECT_TRUE(free(20));
  EXPECT_EQ(fls().allocate(kNote), 20u);
  EXPECT_EQ(fls().allocate(nullptr), 500u);
  EXPECT_FALSE(fls().allocate(nullptr));
  EXPECT_FALSE(free(0));
  EXPECT_FALSE(free(kFlsLimit));
}

TEST_F(FlsTest, ValuesAreEachThreadsOwnAndFreeingZeroesThemAll) {
  for (std::size_t i = 0; i < 3; ++i) start();
  const std::uint32_t index = *fls().allocate(nullptr);
  for (ThreadRecord* thread : threads_) {
    abi::TEB& teb = teb_of(*thread);
    EXPECT_EQ(teb.FlsData, nullptr) << "made when first needed";
    for (const std::uint32_t i : {index, 15u, 16u, 47u, 48u, kFlsLimit - 1}) set(teb, i, &teb);
  }
  for (ThreadRecord* thread : threads_) EXPECT_EQ(get(teb_of(*thread), index), &teb_of(*thread));
  EXPECT_TRUE(free(index, teb_of(*threads_[1]).FlsData));
  for (ThreadRecord* thread : threads_) {
    EXPECT_EQ(get(teb_of(*thread), index), nullptr);
    EXPECT_EQ(get(teb_of(*thread), 48), &teb_of(*thread));
  }
}

TEST_F(FlsTest, AThreadsBlockGoesWithIt) {
  ThreadRecord* const gone = start();
  ThreadRecord* const stays = start();
  const std::uint32_t index = *fls().allocate(nullptr);
  for (ThreadRecord* thread : threads_) set(teb_of(*thread), index, this);
  engine_->detach_thread(*gone);
  EXPECT_EQ(teb_of(*gone).FlsData, nullptr);
  EXPECT_TRUE(free(index));
  EXPECT_EQ(get(teb_of(*stays), index), nullptr);
}

TEST_F(FlsTest, OnePassInAscendingOrderThroughAllChunks) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(200);
  for (const std::size_t i : {150u, 3u, 60u, 199u, 20u}) set(teb, indices[i], number(i));
  EXPECT_TRUE(fls().run(teb.FlsData, host_));
  EXPECT_EQ(note_.told, (std::vector<int>{3, 20, 60, 150, 199}));
  EXPECT_TRUE(fls().run(teb.FlsData, host_));
  EXPECT_TRUE(fls().run(nullptr, host_));
  EXPECT_EQ(note_.told.size(), 5u);
}

TEST_F(FlsTest, AValueIsThereInItsCallbackAndGoneInTheNext) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(3);
  const std::uint32_t silent = *fls().allocate(nullptr);
  for (std::size_t i = 0; i < 3; ++i) set(teb, indices[i], number(10 + i));
  set(teb, silent, number(9));
  note_.act = [&](int told) {
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_EQ(get(teb, indices[i]), 10 + static_cast<int>(i) < told ? nullptr : number(10 + i));
  };
  fls().run(teb.FlsData, host_);
  EXPECT_EQ(note_.told, (std::vector<int>{10, 11, 12}));
  EXPECT_EQ(get(teb, indices[2]), nullptr);
  EXPECT_EQ(get(teb, silent), number(9)) << "without a callback a value stays";
}

TEST_F(FlsTest, WhatACallbackSetsIsSeenAboveAndNotBelow) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(3);
  set(teb, indices[1], number(1));
  note_.act = [&](int told) {
    if (told != 1) return;
    set(teb, indices[0], number(10));
    set(teb, indices[1], number(11));
    set(teb, indices[2], number(12));
  };
  fls().run(teb.FlsData, host_);
  EXPECT_EQ(note_.told, (std::vector<int>{1, 12}));
  EXPECT_EQ(get(teb, indices[0]), number(10));
  EXPECT_EQ(get(teb, indices[1]), nullptr);
}

TEST_F(FlsTest, AnIndexAllocatedInACallbackIsLeftAlone) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(3);
  for (std::size_t i = 0; i < 3; ++i) set(teb, indices[i], number(1 + i));
  std::uint32_t fresh = 0, again = 0;
  note_.act = [&](int told) {
    if (told != 1) return;
    fresh = *fls().allocate(kNote);
    set(teb, fresh, number(20));
    EXPECT_TRUE(free(indices[1], teb.FlsData)) << "another index: its callback comes now";
    again = *fls().allocate(kNote);
    set(teb, again, number(21));
  };
  fls().run(teb.FlsData, host_);
  EXPECT_EQ(again, indices[1]);
  EXPECT_EQ(note_.told, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(get(teb, fresh), number(20));
}

TEST_F(FlsTest, FreeingCallsBackForEveryBlock) {
  for (std::size_t i = 0; i < 4; ++i) start();
  const std::uint32_t index = *fls().allocate(kNote);
  for (std::size_t i = 0; i < 4; ++i) set(teb_of(*threads_[i]), index, i == 2 ? nullptr : number(1 + i));
  abi::TEB& own = teb_of(*threads_[1]);
  note_.act = [&](int told) {
    if (told == 2) {
      EXPECT_EQ(get(own, index), number(2)) << "one's own is visible";
    }
  };
  EXPECT_TRUE(free(index, own.FlsData));
  std::ranges::sort(note_.told);
  EXPECT_EQ(note_.told, (std::vector<int>{1, 2, 4}));
  for (ThreadRecord* thread : threads_) EXPECT_EQ(get(teb_of(*thread), index), nullptr);
  EXPECT_FALSE(free(index));
}

TEST_F(FlsTest, ABlockMayGoWhileAnIndexIsFreed) {
  for (std::size_t i = 0; i < 5; ++i) start();
  const auto indices = allocate(2);
  for (std::size_t i = 0; i < 5; ++i) set(teb_of(*threads_[i]), indices[1], number(1 + i));
  note_.act = [&](int) {
    if (note_.told.size() == 2) {  // two threads that have never set the other index end in between
      stop(start());
      stop(threads_[0]);
    }
  };
  EXPECT_TRUE(free(indices[1]));
  EXPECT_EQ(note_.told.size(), 4u) << "the first thread's went with it, no other was missed";
}

TEST_F(FlsTest, WhatAThreadLeavesBehindIsCalledBackWhenTheIndexGoes) {
  ThreadRecord* const terminated = start();
  const std::uint32_t index = *fls().allocate(kNote);
  set(teb_of(*terminated), index, number(5));
  teb_of(*terminated).FlsData = nullptr;  // as Threads does for one that was terminated
  stop(terminated);
  EXPECT_TRUE(free(index));
  EXPECT_EQ(note_.told, (std::vector<int>{5}));
}

TEST_F(FlsTest, APassThatIsLeftGoesOnAnotherTime) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(2);
  for (std::size_t i = 0; i < 2; ++i) set(teb, indices[i], number(1 + i));
  host_.refuses = true;
  EXPECT_FALSE(fls().run(teb.FlsData, host_));
  EXPECT_FALSE(free(indices[0]));
  host_.refuses = false;
  EXPECT_TRUE(free(indices[1])) << "the block is still there";
  EXPECT_EQ(note_.told, (std::vector<int>{2}));
}

TEST_F(FlsTest, ACallbackWhoseImageIsGoneIsNotCalled) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(1);
  const auto none = allocate(1, nullptr);
  std::vector<std::uint32_t> told;
  const auto goes = [&](std::size_t size) {
    fls().image_goes(kNote, size, [&](std::uint32_t index, void* callback) {
      EXPECT_EQ(callback, kNote);
      told.push_back(index);
    });
  };
  goes(0);
  EXPECT_EQ(told, std::vector<std::uint32_t>{});
  goes(1);
  EXPECT_EQ(told, indices);
  goes(1);
  EXPECT_EQ(told, indices) << "only once";
  set(teb, indices[0], number(1));
  set(teb, none[0], number(2));
  EXPECT_FALSE(fls().run(teb.FlsData, host_));
  EXPECT_EQ(host_.gone, indices[0]);
  EXPECT_FALSE(free(indices[0]));
  EXPECT_EQ(note_.told, std::vector<int>{});
  EXPECT_EQ(fls().callback_of(indices[0]), kNote);
  fls().image_comes(kNote, 1);
  set(teb, indices[0], number(3));
  EXPECT_TRUE(fls().run(teb.FlsData, host_));
  EXPECT_EQ(note_.told, std::vector<int>{3});
}

TEST_F(FlsTest, FreeingWaitsForACallbackUnderWay) {
  abi::TEB& teb = teb_of(*start());
  const auto indices = allocate(2);
  for (std::size_t i = 0; i < 2; ++i) set(teb, indices[i], number(1 + i));
  std::atomic<bool> freed{false};
  std::thread other;
  note_.act = [&](int told) {
    if (told == 1) {
      other = std::thread([&] {
        EXPECT_TRUE(free(indices[0]));
        freed = true;
      });
      while (host_.waits.load() == 0) std::this_thread::yield();
      EXPECT_FALSE(freed);
      EXPECT_EQ(holders(indices[0], FlsWait::callbacks), (std::vector<std::uint32_t>{4}));
      EXPECT_EQ(holders(indices[0], FlsWait::freeing), (std::vector<std::uint32_t>{4}));
      EXPECT_EQ(holders(indices[1], FlsWait::callbacks), std::vector<std::uint32_t>{});
      host_.own_teb.StackBase = this;  // as if that fiber had been left
      EXPECT_EQ(holders(indices[0], FlsWait::callbacks), (std::vector<std::uint32_t>{0}));
    }
  };
  fls().run(teb.FlsData, host_);
  other.join();
  EXPECT_EQ(note_.told, (std::vector<int>{1, 2})) << "the freeing thread finds no value any more";
}

TEST_F(FlsTest, BeforeWindows10TheIndicesAreInThePeb) {
  abi::PEB peb{};
  void* callbacks[kOldFlsLimit]{};
  peb.FlsCallback = callbacks;
  make({.fls_in_peb = &peb});
  EXPECT_EQ(peb.FlsListHead.Flink, &peb.FlsListHead);
  for (std::uint32_t expected = 1; expected < kOldFlsLimit; ++expected)
    EXPECT_EQ(fls().allocate(kNote), expected);
  EXPECT_FALSE(fls().allocate(nullptr));
  EXPECT_TRUE(free(40) && free(127));
  EXPECT_FALSE(free(kOldFlsLimit));
  EXPECT_EQ(peb.FlsBitmapBits[0], ~0u);
  EXPECT_EQ(peb.FlsBitmapBits[1], ~(1u << 8));
  EXPECT_EQ(peb.FlsBitmapBits[3], ~(1u << 31));
  EXPECT_EQ(peb.FlsHighIndex, 127u);
  EXPECT_EQ(callbacks[39], kNote);
  EXPECT_EQ(callbacks[40], nullptr);
  abi::TEB& teb = teb_of(*start());
  for (const std::uint32_t i : {126u, 1u, 60u}) set(teb, i, number(i));
  EXPECT_EQ(peb.FlsListHead.Flink, static_cast<void*>(teb.FlsData));
  EXPECT_EQ(static_cast<OldFlsBlock*>(teb.FlsData)->cells[60], number(60));
  fls().run(teb.FlsData, host_);
  EXPECT_EQ(note_.told, (std::vector<int>{1, 60, 126}));
  EXPECT_EQ(peb.FlsListHead.Flink, &peb.FlsListHead);
  while (!threads_.empty()) stop(threads_.back());
  make({});
}

// ---- threads by the thousand, among FLS indices and modules that come and go: each value is called back
// once
// -----------------------------------------------

struct Value {
  std::atomic<int> told{0};
};
BOBBIN_MS_ABI void tell(void* value) { ++static_cast<Value*>(value)->told; }
void* const kTell = reinterpret_cast<void*>(&tell);

class FlsStressTest : public EngineFixture {
 protected:
  static constexpr int kBorn = 10'000;
  static constexpr int kFreeing = 8;

  /// A shared index: whoever sets a value of it holds `mutex` shared, so that it is not freed meanwhile.
  struct Shared {
    std::shared_mutex mutex;
    std::uint32_t index = 0;
  };

  /// Sets values of lasting and of shared indices, and ends as threads do.
  void live_and_die(Value* values) {
    auto record = engine_->create_thread();
    ASSERT_TRUE(record);
    ASSERT_TRUE(engine_->attach_thread(**record));
    abi::TEB& teb = teb_of(**record);
    for (const std::uint32_t index : lasting_) ASSERT_TRUE(engine_->fls().set(teb, index, values++));
    for (Shared& shared : shared_) {
      const std::shared_lock alive(shared.mutex);
      ASSERT_TRUE(engine_->fls().set(teb, shared.index, values++));
    }
    ASSERT_TRUE(engine_->fls().run(teb.FlsData, host_));
    engine_->destroy_thread(*record);
  }

  /// What a LoadLibrary and a FreeLibrary do to TLS.
  void load_and_unload() {
    Image image(64);
    const std::scoped_lock loader_lock(loader_lock_);
    load(image);
    ++loads_;
  }

  /// Frees its shared index again and again, under those threads, and takes another; loads a module in
  /// between.
  void free_and_allocate(Shared& shared, Value* values, std::size_t count) {
    auto record = engine_->create_thread();
    ASSERT_TRUE(record);
    ASSERT_TRUE(engine_->attach_thread(**record));
    abi::TEB& teb = teb_of(**record);
    for (std::size_t i = 0; i < count; ++i) {
      const std::unique_lock alone(shared.mutex);
      ASSERT_TRUE(engine_->fls().set(teb, shared.index, values++));
      ASSERT_TRUE(engine_->fls().free(shared.index, teb.FlsData, host_));
      shared.index = *engine_->fls().allocate(kTell);
      if (i % 8 == 0) load_and_unload();
    }
    ASSERT_TRUE(engine_->fls().run(teb.FlsData, host_));
    engine_->destroy_thread(*record);
  }

  PlainHost host_;
  std::mutex loader_lock_;
  std::atomic<int> loads_{0};
  std::array<std::uint32_t, 4> lasting_{};
  std::array<Shared, kFreeing> shared_;
};

TEST_F(FlsStressTest, NothingLostNothingTwice) {
  for (std::uint32_t& index : lasting_) index = *engine_->fls().allocate(kTell);
  for (Shared& shared : shared_) shared.index = *engine_->fls().allocate(kTell);
  constexpr int kEach = 4 + kFreeing;
  constexpr int kRounds = 500;
  const std::unique_ptr<Value[]> born(new Value[std::size_t{kBorn} * kEach]);
  const std::unique_ptr<Value[]> freed(new Value[std::size_t{kFreeing} * kRounds]);
  std::vector<std::thread> workers;
  std::atomic<int> next{0};
  for (std::size_t i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int n = next++; n < kBorn; n = next++) live_and_die(&born[std::size_t(n) * kEach]);
    });
  }
  for (std::size_t i = 0; i < kFreeing; ++i)
    workers.emplace_back(
        [&, i] { free_and_allocate(shared_[i], &freed[std::size_t(i) * kRounds], kRounds); });
  for (std::thread& worker : workers) worker.join();
  for (std::size_t i = 0; i < kBorn * kEach; ++i) ASSERT_EQ(born[i].told, 1) << i;
  for (std::size_t i = 0; i < kFreeing * kRounds; ++i) ASSERT_EQ(freed[i].told, 1) << i;
  EXPECT_EQ(loads_, kFreeing * ((kRounds + 7) / 8));
}

}  // namespace
}  // namespace bobbin::tls
