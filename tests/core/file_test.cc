// Files: whole reads, atomic writes, maps, and errors that name the path (core/file.h).
#include "core/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace weft {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "weft_file_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

void ExpectErrorNaming(const Status& status, absl::StatusCode code, const std::string& path) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(status.ToString().find(path), std::string::npos) << status;
}

TEST_F(FileTest, ReadsBackWhatWasWrittenAndLeavesNothingAside) {
  const std::string contents = std::string("a\0b\n", 4) + std::string(200000, 'x');
  ASSERT_TRUE(WriteFileAtomically(Path("f"), contents).ok());
  EXPECT_EQ(*ReadFile(Path("f")), contents);
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "").ok());
  EXPECT_EQ(*ReadFile(Path("f")), "");
  EXPECT_FALSE(std::filesystem::exists(Path("f.tmp")));
}

// A reader that has the old file open keeps it: the new one comes by rename, not by writing over.
TEST_F(FileTest, AMapKeepsTheOldContents) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  StatusOr<MappedFile> map = MappedFile::Open(Path("f"));
  ASSERT_TRUE(map.ok());
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "new contents").ok());
  EXPECT_EQ(map->bytes(), "old");
  const MappedFile moved = *std::move(map);
  EXPECT_EQ(moved.bytes(), "old");
  EXPECT_EQ(*ReadFile(Path("f")), "new contents");
}

TEST_F(FileTest, AnEmptyFileMapsToNothing) {
  ASSERT_TRUE(WriteFileAtomically(Path("empty"), "").ok());
  const StatusOr<MappedFile> map = MappedFile::Open(Path("empty"));
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(map->bytes().empty());
}

TEST_F(FileTest, WhatIsMissingIsNotFound) {
  ExpectErrorNaming(ReadFile(Path("none")).status(), absl::StatusCode::kNotFound, Path("none"));
  ExpectErrorNaming(MappedFile::Open(Path("none")).status(), absl::StatusCode::kNotFound, Path("none"));
  ExpectErrorNaming(SyncFile(Path("none")), absl::StatusCode::kNotFound, Path("none"));
  ExpectErrorNaming(WriteFileAtomically(Path("no/folder"), "x"), absl::StatusCode::kNotFound, Path("no/folder"));
  EXPECT_FALSE(RenameDurably(Path("none"), Path("other")).ok());
}

TEST_F(FileTest, WritesIntoTheMidst) {
  ASSERT_TRUE(WriteFileAtomically(Path("file"), "0123456789").ok());
  {
    const StatusOr<FileWriter> writer = FileWriter::Open(Path("file"));
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(writer->WriteAt(3, "abc").ok());
    EXPECT_TRUE(writer->WriteAt(12, "end").ok());
    EXPECT_TRUE(writer->WriteAt(0, "").ok());
  }
  EXPECT_EQ(*ReadFile(Path("file")), std::string("012abc6789\0\0end", 15));
  ExpectErrorNaming(FileWriter::Open(Path("none")).status(), absl::StatusCode::kNotFound, Path("none"));
}

TEST_F(FileTest, AFolderIsNoFile) {
  ExpectErrorNaming(ReadFile(folder_).status(), absl::StatusCode::kInvalidArgument, folder_);
  ExpectErrorNaming(MappedFile::Open(folder_).status(), absl::StatusCode::kInvalidArgument, folder_);
}

TEST_F(FileTest, MakesFoldersWithTheirParents) {
  ASSERT_TRUE(MakeFolders(Path("a/b/c")).ok());
  EXPECT_TRUE(std::filesystem::is_directory(Path("a/b/c")));
  EXPECT_TRUE(MakeFolders(Path("a/b/c")).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("file"), "x").ok());
  EXPECT_FALSE(MakeFolders(Path("file/below")).ok());
}

TEST_F(FileTest, RenamesFilesAndFolders) {
  ASSERT_TRUE(MakeFolders(Path("from")).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("from/f"), "x").ok());
  ASSERT_TRUE(RenameDurably(Path("from"), Path("to")).ok());
  EXPECT_EQ(*ReadFile(Path("to/f")), "x");
  EXPECT_TRUE(SyncFile(Path("to/f")).ok());
  EXPECT_TRUE(SyncFile(Path("to")).ok());
}

}  // namespace
}  // namespace weft
