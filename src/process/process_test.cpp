#include "process/process.hpp"

#include <gtest/gtest.h>

#include "abi/status.hpp"
#include "nls/utf.hpp"
#include "process/command_line.hpp"

namespace bobbin::process {
namespace {

using Arguments = std::vector<std::u16string>;

TEST(CommandLine, IsTakenApartAsTheCRuntimesDo) {
  EXPECT_EQ(split_command_line(u"prog a b"), (Arguments{u"prog", u"a", u"b"}));
  EXPECT_EQ(split_command_line(u"\"a b\\\" c"), (Arguments{u"a b\\", u"c"}));
  EXPECT_EQ(split_command_line(u"p \"a b\" c"), (Arguments{u"p", u"a b", u"c"}));
  EXPECT_EQ(split_command_line(u"p \"ab\\\"c\" \"\\\\\" d"), (Arguments{u"p", u"ab\"c", u"\\", u"d"}));
  EXPECT_EQ(split_command_line(u"p a\\\\\\b d\"e f\"g h"), (Arguments{u"p", u"a\\\\\\b", u"de fg", u"h"}));
  EXPECT_EQ(split_command_line(u"p a\\\\\\\"b c d"), (Arguments{u"p", u"a\\\"b", u"c", u"d"}));
  EXPECT_EQ(split_command_line(u"p a\\\\\\\\\"b c\" d e"), (Arguments{u"p", u"a\\\\b c", u"d", u"e"}));
  EXPECT_EQ(split_command_line(u"p \"a\"\"b\""), (Arguments{u"p", u"a\"b"}));
  EXPECT_EQ(split_command_line(u"p \"\""), (Arguments{u"p", u""}));
}

TEST(CommandLine, RoundTrips) {
  const Arguments hard = {u"C:\\Program Files\\x.exe",
                          u"",
                          u"a b",
                          u"\"",
                          u"\\",
                          u"\\\\ \\",
                          u"a\"b\\\"c",
                          u"\t",
                          u"x\\y",
                          u"tail\\\\",
                          u"\"\"",
                          u"\\\"",
                          u"\u00e4 \U0001F600",
                          u"--a=\"b\""};
  EXPECT_EQ(split_command_line(join_command_line(hard)), hard);
}

TEST(CommandLine, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(join_command_line({u"a.exe", u"b", u"c\\d"}), u"a.exe b c\\d");
}

struct HostEnvironment : testing::Test {
  void take(std::vector<const char*> lines) {
    lines.push_back(nullptr);
    environment.take_from_host(lines.data(), drives);
  }
  std::string get(std::u16string_view name) {
    const auto value = environment.get(name);
    return value ? nls::to_utf8(*value) : "(none)";
  }
  io::DriveTable drives;
  Environment environment;
};

TEST_F(HostEnvironment, ConvertsPathAndKeepsTheRest) {
  take({"PATH=/usr/bin:/bin::rel", "HOME=/home/me", "Foo=bar=baz", "EMPTY="});
  EXPECT_EQ(get(u"path"), "Z:\\usr\\bin;Z:\\bin;rel");
  EXPECT_EQ(get(u"HOME"), "/home/me");
  EXPECT_EQ(get(u"FOO"), "bar=baz");
  EXPECT_EQ(get(u"EMPTY"), "");
  EXPECT_EQ(get(u"USERPROFILE"), "Z:\\home\\me");
  EXPECT_EQ(get(u"HOMEDRIVE") + get(u"HOMEPATH"), "Z:\\home\\me");
  EXPECT_EQ(get(u"TEMP"), "Z:\\tmp");
}

TEST_F(HostEnvironment, LeavesWindowsValuesAlone) {
  take({"PATH=C:\\x;D:\\y", "TEMP=C:\\t"});
  EXPECT_EQ(get(u"PATH"), "C:\\x;D:\\y");
  EXPECT_EQ(get(u"TEMP"), "C:\\t");
}

TEST_F(HostEnvironment, IsSortedAndEndsTwice) {
  environment.take_from_block(u"b=2\0A=1\0_=3\0C=4\0");
  EXPECT_EQ(environment.block(), std::u16string_view(u"A=1\0b=2\0C=4\0_=3\0\0", 17));
  EXPECT_EQ(Environment().block(), std::u16string_view(u"\0\0", 2));
}

TEST_F(HostEnvironment, SetsAndRemoves) {
  EXPECT_TRUE(environment.set(u"Name", u"1"));
  EXPECT_TRUE(environment.set(u"NAME", u"2"));
  EXPECT_EQ(environment.block(), std::u16string_view(u"Name=2\0\0", 8));
  EXPECT_TRUE(environment.set(u"name", std::nullopt));
  EXPECT_EQ(abi::win32_error(environment.set(u"name", std::nullopt).error().status),
            abi::ERROR_ENVVAR_NOT_FOUND);
  EXPECT_FALSE(environment.set(u"", u"1"));
  EXPECT_FALSE(environment.set(u"a=b", u"1"));
  EXPECT_TRUE(environment.set(u"=C:", u"C:\\x"));
}

TEST_F(HostEnvironment, Expands) {
  environment.take_from_block(u"A=1\0B=two\0");
  EXPECT_EQ(environment.expand(u"%a%-%B%-%none%-%%-100%"), u"1-two-%none%-%%-100%");
  EXPECT_EQ(environment.expand(u"%none%A%"), u"%none1");
}

TEST_F(HostEnvironment, GoesBackToTheHost) {
  environment.take_from_block(u"PATH=Z:\\usr\\bin;Q:\\none;Z:\\bin\0=C:=C:\\\0X=\u00e4\0");
  EXPECT_EQ(environment.to_host(drives), (std::vector<std::string>{"PATH=/usr/bin:/bin", "X=\xc3\xa4"}));
}

TEST(ProcessParameters, PointAtTheirStrings) {
  Parameters parameters({.image_path = u"Z:\\a.exe",
                         .command_line = u"Z:\\a.exe x",
                         .current_directory = u"Z:\\",
                         .environment = std::u16string(u"A=1\0\0", 5)});
  const auto* block = parameters.get();
  EXPECT_EQ(std::u16string_view(block->CommandLine.Buffer), u"Z:\\a.exe x");
  EXPECT_EQ(block->CommandLine.Length, 20);
  EXPECT_EQ(std::u16string_view(block->ImagePathName.Buffer), u"Z:\\a.exe");
  EXPECT_EQ(std::u16string_view(block->WindowTitle.Buffer), u"Z:\\a.exe");
  parameters.set_current_directory(u"Z:\\long\\");
  EXPECT_EQ(std::u16string_view(block->CurrentDirectory.DosPath.Buffer), u"Z:\\long\\");
  EXPECT_EQ(block->Environment[0], u'A');
}

TEST(Process, GivesTheHostsStreamsHandles) {
  io::Files files{io::DriveTable()};
  sync::HandleTable handles;
  const char* const environment[] = {"BOBBIN_COMMAND_LINE=exactly  this", nullptr};
  auto process = Process::create({.program = "/x/prog.exe",
                                  .arguments = {"a b"},
                                  .host_environment = environment,
                                  .set_variables = {{"N", "v"}}},
                                 files, handles);
  ASSERT_TRUE(process) << process.error().message();
  EXPECT_EQ((*process)->image_path(), u"Z:\\x\\prog.exe");
  EXPECT_EQ((*process)->command_line_ansi(), "exactly  this");
  EXPECT_FALSE((*process)->environment().get(u"BOBBIN_COMMAND_LINE"));
  EXPECT_EQ((*process)->environment().get(u"n"), u"v");
  const sync::Handle out = (*process)->standard_handles()[1];
  ASSERT_NE(out, 0u);
  auto file = handles.get<io::File>(out, sync::Kind::file);
  ASSERT_TRUE(file);
  sync::Waiter self;
  const std::string text = "written through the handle\n";
  EXPECT_EQ((*file)->write(std::as_bytes(std::span(text)), std::nullopt, self), text.size());
}

}  // namespace
}  // namespace bobbin::process
