#include "sync/names.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "abi/status.hpp"
#include "sync/completion_port.hpp"
#include "sync/dispatcher.hpp"
#include "sync/handle_table.hpp"

namespace bobbin::sync {
namespace {

Ref<Object> event() { return Ref<Event>::adopt(new Event(false, false)); }

TEST(Names, AreSharedByThoseWhoCreate) {
  Names names;
  const auto first = names.claim(u"Local\\Door", event());
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(first->existed);
  const auto second = names.claim(u"Door", event());
  EXPECT_TRUE(second->existed);
  EXPECT_EQ(second->object.get(), first->object.get());
  EXPECT_EQ(names.find(u"Door", Kind::event)->get(), first->object.get());
  EXPECT_EQ(names.find(u"door", Kind::event).error().status, abi::STATUS_OBJECT_NAME_NOT_FOUND);
  EXPECT_EQ(names.find(u"Door", Kind::mutex).error().status, abi::STATUS_OBJECT_TYPE_MISMATCH);
  EXPECT_FALSE(names.claim(u"Global\\Door", event())->existed);
}

TEST(Names, GoWithTheirObject) {
  Names names;
  ASSERT_TRUE(names.claim(u"Door", event()).has_value());  // dropped at once
  EXPECT_EQ(names.find(u"Door", Kind::event).error().status, abi::STATUS_OBJECT_NAME_NOT_FOUND);
  EXPECT_FALSE(names.claim(u"Door", event())->existed);
}

TEST(Names, RefusesWhatCannotBeAName) {
  Names names;
  EXPECT_EQ(names.claim(u"a\\b", event()).error().status, abi::STATUS_OBJECT_PATH_NOT_FOUND);
  EXPECT_EQ(names.claim(std::u16string(300, u'x'), event()).error().status, abi::STATUS_NAME_TOO_LONG);
}

TEST(Names, StayConsistentWhileObjectsComeAndGo) {
  Names names;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        const auto entry = names.claim(u"Door", event());
        ASSERT_TRUE(entry.has_value());
        ASSERT_EQ(names.find(u"Door", Kind::event)->get(), entry->object.get());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Whoever asks for another kind holds the object for a moment, in which it may come to have the last
// reference.
TEST(Names, MayBeAskedForAnotherKindWhileTheirObjectGoes) {
  Names names;
  std::atomic<bool> asks{false}, done{false};
  std::thread asking([&] {
    while (!done) {
      (void)names.find(u"Door", Kind::mutex);
      asks = true;
    }
  });
  while (!asks) std::this_thread::yield();
  for (int round = 0; round < 50'000; ++round) (void)names.claim(u"Door", event());
  done = true;
  asking.join();
}

TEST(HandleTable, InheritsHandlesByTheirValues) {
  HandleTable parent;
  HandleTable child;
  const Handle kept = *parent.insert(event());
  const Handle given = *parent.insert(event(), true);
  const auto all = parent.all_inheritable();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].first, given);
  EXPECT_EQ(all[0].second.get(), parent.get(given)->get());
  ASSERT_TRUE(child.insert_at(given, all[0].second, true));
  EXPECT_FALSE(child.insert_at(given, event(), true)) << "in use";
  EXPECT_FALSE(child.insert_at(0, event(), true));
  EXPECT_EQ(child.size(), 1u);
  EXPECT_TRUE(*child.inheritable(given));
  EXPECT_EQ(*child.insert(event()), kept);
  EXPECT_EQ(*child.insert(event()), given + 4);
}

TEST(HandleTable, TellsWhoWaitsAtAPortThatItsLastHandleIsClosed) {
  HandleTable handles;
  const auto port = Ref<CompletionPort>::adopt(new CompletionPort);
  const Handle one = *handles.insert(port), other = *handles.insert(port);
  std::thread waiting([&] {
    Waiter self;
    std::array<Packet, 2> packets;
    EXPECT_EQ(port->take(packets, std::nullopt, self, false).count, 1u);
    EXPECT_EQ(port->take(packets, std::nullopt, self, false).outcome, WaitOutcome::Kind::abandoned);
  });
  EXPECT_TRUE(handles.close(one));
  port->post({});
  EXPECT_TRUE(handles.close(other));
  waiting.join();
}

TEST(HandleTable, ReusesTheLowestFreeValue) {
  HandleTable handles;
  const Handle a = *handles.insert(event());
  const Handle b = *handles.insert(event());
  EXPECT_EQ(a, 4u);
  EXPECT_EQ(b, 8u);
  EXPECT_TRUE(handles.close(a).has_value());
  EXPECT_EQ(handles.close(a).error().status, abi::STATUS_INVALID_HANDLE);
  EXPECT_EQ(*handles.insert(event()), a);
  EXPECT_EQ(handles.size(), 2u);
  EXPECT_EQ((handles.get<Mutex>(b, Kind::mutex)).error().status, abi::STATUS_OBJECT_TYPE_MISMATCH);
  EXPECT_FALSE(*handles.inheritable(b));
  EXPECT_TRUE(handles.set_inheritable(b, true).has_value());
  EXPECT_TRUE(*handles.inheritable(b));
  EXPECT_NE(handles.get(b + 1)->get(), nullptr) << "the two low bits do not count";
}

}  // namespace
}  // namespace bobbin::sync
