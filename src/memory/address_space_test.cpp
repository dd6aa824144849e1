#include "memory/address_space.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "abi/status.hpp"

namespace bobbin::memory {
namespace {

constexpr std::size_t kPage = os::kPageSize;

/// A space with one reserved allocation of 16 pages.
struct Fixture : testing::Test {
  AddressSpace space;
  std::byte* base = space.reserve(16 * kPage, nullptr, Type::private_memory, kReadWrite).value();
  [[nodiscard]] std::byte* page(std::size_t n) const { return base + n * kPage; }
};
using AddressSpaceTest = Fixture;

void expect_region(const Region& got, std::byte* base, std::size_t size, State state, std::uint32_t protect) {
  EXPECT_EQ(got.base, base);
  EXPECT_EQ(got.size, size);
  EXPECT_EQ(got.state, state);
  EXPECT_EQ(got.protect, protect);
}

TEST_F(AddressSpaceTest, ReservesAtMultiplesOf64K) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(base) % kAllocationGranularity, 0u);
  expect_region(space.query(base), base, 16 * kPage, State::reserved, 0);
  EXPECT_EQ(space.query(base).allocation_base, base);
  EXPECT_EQ(space.query(base).allocation_protect, kReadWrite);
}

TEST_F(AddressSpaceTest, ATerabyteCostsNothing) {
  constexpr std::size_t kTerabyte = std::size_t{1} << 40;
  auto huge = space.reserve(kTerabyte, nullptr, Type::private_memory, kNoAccess);
  ASSERT_TRUE(huge) << huge.error().message();
  ASSERT_TRUE(space.commit(*huge + kTerabyte / 2, kPage, kReadWrite));
  (*huge)[kTerabyte / 2] = std::byte{1};
  EXPECT_EQ(space.query(*huge).size, kTerabyte / 2);
  EXPECT_TRUE(space.release(*huge));
}

TEST_F(AddressSpaceTest, CommittedPagesAreZeroAndKeepTheirContent) {
  ASSERT_TRUE(space.commit(page(2), 3 * kPage, kReadWrite));
  EXPECT_EQ(*page(3), std::byte{0});
  *page(3) = std::byte{42};
  ASSERT_TRUE(space.commit(page(1), 4 * kPage, kReadOnly));
  EXPECT_EQ(*page(3), std::byte{42});
  expect_region(space.query(page(0)), page(0), kPage, State::reserved, 0);
  expect_region(space.query(page(1)), page(1), 4 * kPage, State::committed, kReadOnly);
  expect_region(space.query(page(5)), page(5), 11 * kPage, State::reserved, 0);
}

TEST_F(AddressSpaceTest, DecommittedPagesLoseTheirContent) {
  ASSERT_TRUE(space.commit(base, 16 * kPage, kReadWrite));
  *page(7) = std::byte{42};
  ASSERT_TRUE(space.decommit(page(7), kPage));
  expect_region(space.query(page(7)), page(7), kPage, State::reserved, 0);
  ASSERT_TRUE(space.commit(page(7), kPage, kReadWrite));
  EXPECT_EQ(*page(7), std::byte{0});
  ASSERT_TRUE(space.decommit(base, 0));
  expect_region(space.query(base), base, 16 * kPage, State::reserved, 0);
}

TEST_F(AddressSpaceTest, ProtectHandsBackTheFirstPagesOldProtection) {
  ASSERT_TRUE(space.commit(base, 2 * kPage, kReadWrite));
  EXPECT_EQ(space.protect(page(1), kPage, kReadOnly).value(), kReadWrite);
  EXPECT_EQ(space.protect(page(0), 2 * kPage, kExecuteRead).value(), kReadWrite);
  EXPECT_EQ(space.protect(page(1), kPage, kReadWrite).value(), kExecuteRead);
  EXPECT_EQ(space.protect(page(1), 2 * kPage, kReadWrite).error().status, abi::STATUS_NOT_COMMITTED);
}

TEST_F(AddressSpaceTest, QueryRoundsItsAddressDownAndJoinsEqualPages) {
  ASSERT_TRUE(space.commit(page(0), kPage, kReadWrite));
  ASSERT_TRUE(space.commit(page(1), kPage, kReadWrite));
  ASSERT_TRUE(space.commit(page(2), kPage, kReadWrite));
  expect_region(space.query(page(1) + 5), page(1), 2 * kPage, State::committed, kReadWrite);
}

TEST_F(AddressSpaceTest, RefusesWhatMakesNoSense) {
  EXPECT_EQ(space.commit(page(15), 2 * kPage, kReadWrite).error().status, abi::STATUS_MEMORY_NOT_ALLOCATED);
  EXPECT_EQ(space.commit(base + 1, kPage, kReadWrite).error().status, abi::STATUS_INVALID_PARAMETER);
  EXPECT_EQ(space.commit(base, 0, kReadWrite).error().status, abi::STATUS_INVALID_PARAMETER);
  EXPECT_EQ(space.commit(base, kPage, 3).error().status, abi::STATUS_INVALID_PAGE_PROTECTION);
  EXPECT_EQ(space.commit(base, kPage, 0).error().status, abi::STATUS_INVALID_PAGE_PROTECTION);
  EXPECT_EQ(space.commit(base, kPage, kGuard).error().status, abi::STATUS_INVALID_PAGE_PROTECTION);
  EXPECT_EQ(space.commit(base, kPage, kGuard | kNoAccess).error().status,
            abi::STATUS_INVALID_PAGE_PROTECTION);
  EXPECT_EQ(space.release(page(1)).error().status, abi::STATUS_FREE_VM_NOT_AT_BASE);
  EXPECT_EQ(space.decommit(page(1), 0).error().status, abi::STATUS_FREE_VM_NOT_AT_BASE);
  int local = 0;
  EXPECT_EQ(space.release(&local).error().status, abi::STATUS_MEMORY_NOT_ALLOCATED);
  EXPECT_EQ(space.reserve(16 * kPage, base, Type::private_memory, kReadWrite).error().status,
            abi::STATUS_CONFLICTING_ADDRESSES);
  EXPECT_EQ(space.reserve(~std::size_t{0} - 4095, page(3), Type::private_memory, kReadWrite).error().status,
            abi::STATUS_INVALID_PARAMETER);
  EXPECT_EQ(space.allocations(), 1u);
}

TEST_F(AddressSpaceTest, ReleasedSpaceIsFreeAndCanBeReservedAgain) {
  ASSERT_TRUE(space.release(base));
  EXPECT_EQ(space.allocations(), 0u);
  EXPECT_EQ(space.query(base).state, State::free);
  EXPECT_EQ(space.query(base).allocation_base, nullptr);
  EXPECT_EQ(space.release(base).error().status, abi::STATUS_MEMORY_NOT_ALLOCATED);
  EXPECT_EQ(space.reserve(16 * kPage, base, Type::image, kExecuteWriteCopy).value(), base);
  EXPECT_EQ(space.query(base).type, Type::image);
}

TEST_F(AddressSpaceTest, FilePagesAreCopiedOnWrite) {
  auto file = os::MemoryFile::create("test").value();
  ASSERT_TRUE(file.resize(2 * kPage));
  const std::byte content[] = {std::byte{1}, std::byte{2}};
  ASSERT_TRUE(file.write(kPage, content));
  ASSERT_TRUE(space.commit_file(page(4), kPage, file.fd(), kPage, kWriteCopy));
  EXPECT_EQ(page(4)[1], std::byte{2});
  page(4)[1] = std::byte{9};
  ASSERT_TRUE(space.commit_file(page(6), kPage, file.fd(), kPage, kReadOnly));
  EXPECT_EQ(page(6)[1], std::byte{2});
  EXPECT_EQ(space.commit_file(page(6), kPage, file.fd(), 0, kReadOnly).error().status,
            abi::STATUS_CONFLICTING_ADDRESSES);
  EXPECT_FALSE(space.commit_file(page(8), kPage, file.fd(), 7, kReadOnly));
  expect_region(space.query(page(7)), page(7), 9 * kPage, State::reserved, 0);
  ASSERT_TRUE(space.decommit(page(4), kPage));
  ASSERT_TRUE(space.commit(page(4), kPage, kReadWrite));
  EXPECT_EQ(page(4)[1], std::byte{0});
}

TEST_F(AddressSpaceTest, NotedRangesAnswerButAreNotTheGuestsToFree) {
  std::byte* stack = os::reserve(4 * kPage).value();
  ASSERT_TRUE(os::commit(stack, 4 * kPage, os::Protection::read_write));
  ASSERT_TRUE(space.note(stack, 4 * kPage, kReadWrite));
  expect_region(space.query(stack + kPage), stack + kPage, 3 * kPage, State::committed, kReadWrite);
  EXPECT_EQ(space.query(stack + kPage).allocation_base, stack);
  EXPECT_EQ(space.note(stack + kPage, kPage, kReadWrite).error().status, abi::STATUS_CONFLICTING_ADDRESSES);
  EXPECT_EQ(space.release(stack).error().status, abi::STATUS_UNABLE_TO_FREE_VM);
  EXPECT_EQ(space.decommit(stack, kPage).error().status, abi::STATUS_UNABLE_TO_FREE_VM);
  EXPECT_EQ(space.protect(stack, kPage, kReadOnly).value(), kReadWrite);
  space.forget(stack);
  EXPECT_EQ(space.allocations(), 1u);
  stack[2 * kPage] = std::byte{1};  // still mapped
  os::release(stack, 4 * kPage);
}

TEST_F(AddressSpaceTest, PinnedPagesAreKnown) {
  ASSERT_TRUE(space.commit(base, 2 * kPage, kReadWrite));
  EXPECT_EQ(space.unpin(base, kPage).error().status, abi::STATUS_NOT_LOCKED);
  EXPECT_EQ(space.pin(base, 3 * kPage).error().status, abi::STATUS_NOT_COMMITTED);
  if (!space.pin(base, 2 * kPage)) GTEST_SKIP() << "the host lets nobody pin pages";
  EXPECT_TRUE(space.unpin(base, kPage));
  EXPECT_EQ(space.unpin(base, 2 * kPage).error().status, abi::STATUS_NOT_LOCKED);
  ASSERT_TRUE(space.decommit(base, 2 * kPage));
  EXPECT_EQ(space.unpin(page(1), kPage).error().status, abi::STATUS_NOT_LOCKED);
}

TEST_F(AddressSpaceTest, MemoryOfTheHostIsNeverFree) {
  static int data = 1;
  const Region of_data = space.query(&data);
  EXPECT_EQ(of_data.state, State::committed);
  EXPECT_NE(of_data.allocation_base, nullptr);
  const auto heap = std::make_unique<int>(1);
  EXPECT_EQ(space.query(heap.get()).state, State::committed);
  EXPECT_EQ(space.query(heap.get()).protect, kReadWrite);
  EXPECT_EQ(space.query(reinterpret_cast<const void*>(&std::abort)).protect &
                (kExecute | kExecuteRead | kExecuteReadWrite),
            static_cast<std::uint32_t>(kExecuteRead));
}

TEST_F(AddressSpaceTest, AWalkSeesEveryAddressOnceAndEnds) {
  std::uintptr_t address = 0;
  bool seen = false;
  int steps = 0;
  while (address < kAddressLimit && ++steps < 100000) {
    const Region region = space.query(reinterpret_cast<void*>(address));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(region.base), address);
    ASSERT_GT(region.size, 0u);
    seen = seen || region.base == base;
    address += region.size;
  }
  EXPECT_TRUE(seen);
  EXPECT_GE(address, kAddressLimit);
}

// Every change, with each host call made to fail in turn, leaves map and host as they were.
TEST_F(AddressSpaceTest, FailuresChangeNothing) {
  auto file = os::MemoryFile::create("test").value();
  ASSERT_TRUE(file.resize(kPage));
  ASSERT_TRUE(space.commit(page(1), kPage, kReadOnly));
  ASSERT_TRUE(space.commit(page(2), kPage, kReadWrite));
  *page(2) = std::byte{42};
  const auto failing = [](auto change) {
    os::fail_allocation(1);
    const bool failed = !change();
    os::fail_allocation(0);
    EXPECT_TRUE(failed);
  };
  failing([&] { return space.reserve(kPage, nullptr, Type::private_memory, kReadWrite); });
  failing([&] { return space.commit(page(0), 4 * kPage, kReadWrite); });
  failing([&] { return space.protect(page(1), 2 * kPage, kNoAccess); });
  failing([&] { return space.commit_file(page(8), kPage, file.fd(), 0, kReadOnly); });
  EXPECT_EQ(space.allocations(), 1u);
  expect_region(space.query(page(0)), page(0), kPage, State::reserved, 0);
  expect_region(space.query(page(1)), page(1), kPage, State::committed, kReadOnly);
  expect_region(space.query(page(2)), page(2), kPage, State::committed, kReadWrite);
  expect_region(space.query(page(3)), page(3), 13 * kPage, State::reserved, 0);
  EXPECT_EQ(*page(2), std::byte{42});
  EXPECT_EQ(os::host_range(page(0))->protection, os::Protection::none);
  EXPECT_EQ(os::host_range(page(1))->protection, os::Protection::read);
  EXPECT_EQ(os::host_range(page(2))->protection, os::Protection::read_write);
  EXPECT_EQ(os::host_range(page(8))->protection, os::Protection::none);
}

// The host fails half way through a range: the pages it had changed are put back.
TEST_F(AddressSpaceTest, AFailureHalfWayIsUndone) {
  ASSERT_TRUE(space.commit(base, 4 * kPage, kReadWrite));
  munmap(page(2), kPage);  // mprotect changes pages 0 and 1, then meets the hole
  EXPECT_FALSE(space.protect(base, 4 * kPage, kReadOnly));
  EXPECT_EQ(os::host_range(page(0))->protection, os::Protection::read_write);
  expect_region(space.query(base), base, 4 * kPage, State::committed, kReadWrite);
}

TEST_F(AddressSpaceTest, ManyThreads) {
  std::atomic<int> failures{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        auto at = space.reserve(4 * kPage, nullptr, Type::private_memory, kReadWrite);
        if (!at || !space.commit(*at, 2 * kPage, kReadWrite) || (*at)[kPage] != std::byte{0} ||
            space.query(*at).size != 2 * kPage) {
          ++failures;
        }
        (*at)[kPage] = std::byte{1};
        if (!space.protect(*at, kPage, kReadOnly) || !space.release(*at)) ++failures;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(space.allocations(), 1u);
}

}  // namespace
}  // namespace bobbin::memory
