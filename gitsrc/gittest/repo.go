// Package gittest makes git repositories, and serves them, for tests and the demo.
//
// In: files. Out: commits in a bare repository on disk, written without a git binary and without a work tree; and, where
// git is installed, a real git server on a loopback port.
package gittest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// A Repo is a bare repository with one branch of interest. It is not safe for concurrent use.
type Repo struct {
	// Dir is the bare repository on disk.
	Dir    string
	branch plumbing.ReferenceName
	store  *filesystem.Storage
	clock  time.Time
}

// A File is a path's content with its mode, for what a plain map of files cannot say.
type File struct {
	Mode    filemode.FileMode
	Content string
	// Hash is the commit of a submodule.
	Hash string
}

// Init makes a bare repository in dir; its branch does not exist before the first commit.
func Init(dir, branch string) (*Repo, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	st := filesystem.NewStorage(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRUDefault())
	ref := plumbing.NewBranchReferenceName(branch)
	if _, err := git.InitWithOptions(st, nil, git.InitOptions{DefaultBranch: ref}); err != nil {
		return nil, fmt.Errorf("make repository %s: %w", dir, err)
	}
	// Commits get the times of a clock of their own, so that equal histories have equal ids.
	return &Repo{Dir: dir, branch: ref, store: st, clock: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
}

// Commit adds files to what the branch holds (paths that end in .sh are executable), removes others, and gives the new
// commit's id.
func (r *Repo) Commit(message string, files map[string]string, remove ...string) (string, error) {
	typed := map[string]File{}
	for p, c := range files {
		typed[p] = plain(p, c)
	}
	return r.CommitFiles(message, typed, remove...)
}

func plain(p, content string) File {
	if strings.HasSuffix(p, ".sh") {
		return File{Mode: filemode.Executable, Content: content}
	}
	return File{Mode: filemode.Regular, Content: content}
}

// CommitFiles is Commit for any kind of entry.
func (r *Repo) CommitFiles(message string, files map[string]File, remove ...string) (string, error) {
	tree, parents, err := r.tip()
	if err != nil {
		return "", err
	}
	for p, f := range files {
		if tree[p], err = r.entry(f); err != nil {
			return "", fmt.Errorf("commit %s: %w", p, err)
		}
	}
	for _, p := range remove {
		delete(tree, p)
	}
	return r.commit(message, tree, parents)
}

// CommitDir makes the branch hold exactly the regular files of dir (.git left out). If they are what it holds already,
// no commit is made and changed is false.
func (r *Repo) CommitDir(message, dir string) (commit string, changed bool, err error) {
	old, parents, err := r.tip()
	if err != nil {
		return "", false, err
	}
	tree := map[string]object.TreeEntry{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return errors.Join(err, skip(d))
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		tree[rel], err = r.entry(plain(rel, string(content)))
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("commit directory %s: %w", dir, err)
	}
	if len(parents) > 0 && sameTree(old, tree) {
		return parents[0].String(), false, nil
	}
	commit, err = r.commit(message, tree, parents)
	return commit, true, err
}

func skip(d fs.DirEntry) error {
	if d != nil && d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func sameTree(a, b map[string]object.TreeEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for p, e := range a {
		if o, ok := b[p]; !ok || o.Hash != e.Hash || o.Mode != e.Mode {
			return false
		}
	}
	return true
}

// ForcePush replaces the whole history by one new commit without parents.
func (r *Repo) ForcePush(message string, files map[string]string) (string, error) {
	tree := map[string]object.TreeEntry{}
	for p, c := range files {
		e, err := r.entry(plain(p, c))
		if err != nil {
			return "", err
		}
		tree[p] = e
	}
	return r.commit(message, tree, nil)
}

// Empty commits the removal of every file.
func (r *Repo) Empty(message string) (string, error) {
	_, parents, err := r.tip()
	if err != nil {
		return "", err
	}
	return r.commit(message, nil, parents)
}

// Reset moves the branch to any commit, back or forth.
func (r *Repo) Reset(commit string) error {
	return r.store.SetReference(plumbing.NewHashReference(r.branch, plumbing.NewHash(commit)))
}

// DeleteBranch removes the branch; its commits stay.
func (r *Repo) DeleteBranch() error { return r.store.RemoveReference(r.branch) }

// Head is the branch's commit, empty if there is none.
func (r *Repo) Head() (string, error) {
	ref, err := r.store.Reference(r.branch)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return ref.Hash().String(), nil
}

// tip reads the branch's files, flat; a branch without commits has none.
func (r *Repo) tip() (map[string]object.TreeEntry, []plumbing.Hash, error) {
	tree := map[string]object.TreeEntry{}
	head, err := r.Head()
	if err != nil || head == "" {
		return tree, nil, err
	}
	h := plumbing.NewHash(head)
	c, err := object.GetCommit(r.store, h)
	if err != nil {
		return nil, nil, err
	}
	return tree, []plumbing.Hash{h}, r.flatten(tree, "", c.TreeHash)
}

func (r *Repo) flatten(into map[string]object.TreeEntry, prefix string, id plumbing.Hash) error {
	t, err := object.GetTree(r.store, id)
	if err != nil {
		return err
	}
	for _, e := range t.Entries {
		p := path.Join(prefix, e.Name)
		if e.Mode != filemode.Dir {
			into[p] = e
			continue
		}
		if err := r.flatten(into, p, e.Hash); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) entry(f File) (object.TreeEntry, error) {
	if f.Mode == filemode.Submodule {
		return object.TreeEntry{Mode: f.Mode, Hash: plumbing.NewHash(f.Hash)}, nil
	}
	h, err := r.put(plumbing.BlobObject, []byte(f.Content))
	return object.TreeEntry{Mode: f.Mode, Hash: h}, err
}

func (r *Repo) put(t plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	o := &plumbing.MemoryObject{}
	o.SetType(t)
	if _, err := o.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.store.SetEncodedObject(o)
}

func (r *Repo) commit(message string, tree map[string]object.TreeEntry, parents []plumbing.Hash) (string, error) {
	root, err := r.writeTree(tree)
	if err != nil {
		return "", err
	}
	r.clock = r.clock.Add(time.Minute)
	who := object.Signature{Name: "Fleet Team", Email: "fleet@example.org", When: r.clock}
	c := object.Commit{Author: who, Committer: who, Message: message, TreeHash: root, ParentHashes: parents}
	o := &plumbing.MemoryObject{}
	if err := c.Encode(o); err != nil {
		return "", err
	}
	h, err := r.store.SetEncodedObject(o)
	if err != nil {
		return "", err
	}
	return h.String(), r.store.SetReference(plumbing.NewHashReference(r.branch, h))
}

// writeTree writes the tree objects of a flat list of paths and gives the root.
func (r *Repo) writeTree(flat map[string]object.TreeEntry) (plumbing.Hash, error) {
	var t object.Tree
	folders := map[string]map[string]object.TreeEntry{}
	for p, e := range flat {
		name, rest, deeper := strings.Cut(p, "/")
		if !deeper {
			t.Entries = append(t.Entries, object.TreeEntry{Name: name, Mode: e.Mode, Hash: e.Hash})
			continue
		}
		if folders[name] == nil {
			folders[name] = map[string]object.TreeEntry{}
		}
		folders[name][rest] = e
	}
	for name, sub := range folders {
		h, err := r.writeTree(sub)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		t.Entries = append(t.Entries, object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: h})
	}
	slices.SortFunc(t.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	o := &plumbing.MemoryObject{}
	if err := t.Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.store.SetEncodedObject(o)
}

// sortName is git's order: a folder counts as if its name ended in a slash.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}
