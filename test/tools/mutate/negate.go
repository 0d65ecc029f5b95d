package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// condition is one that is not made of others: what if, for and case ask, what && and
// || join, and what is compared anywhere.
type condition struct {
	file, in   string // the file, and the function that it stands in
	line, at   int
	text       string
	start, end int // in the file
}

func (c condition) String() string {
	return fmt.Sprintf("%s:%d:%d %s: %s", c.file, c.line, c.at, c.in, c.text)
}

// key is what the list knows it by: lines move.
func (c condition) key() string { return fmt.Sprintf("%s %s: %s", c.file, c.in, c.text) }

// conditions returns those of the files in a directory, or of one of them.
func conditions(dir, only string) (all []condition, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || only != "" && filepath.Base(file) != only {
			continue
		}
		of, err := inFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// inFile returns the conditions of the functions in a file.
func inFile(file string) (all []condition, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		f, is := d.(*ast.FuncDecl)
		if !is {
			continue
		}
		for _, e := range leaves(f) {
			p, end := set.Position(e.Pos()), set.Position(e.End())
			all = append(all, condition{file, f.Name.Name, p.Line, p.Column, string(text[p.Offset:end.Offset]), p.Offset, end.Offset})
		}
	}
	return all, nil
}

// leaves returns the conditions of a function in the order of their places.
func leaves(f *ast.FuncDecl) (out []ast.Expr) {
	ast.Inspect(f, func(n ast.Node) bool {
		for _, e := range asked(n) {
			out = split(e, out)
		}
		return true
	})
	slices.SortFunc(out, func(a, b ast.Expr) int { return int(a.Pos() - b.Pos()) })
	return slices.Compact(out)
}

// split appends what a condition is made of.
func split(e ast.Expr, to []ast.Expr) []ast.Expr {
	switch x := e.(type) {
	case nil:
		return to
	case *ast.ParenExpr:
		return split(x.X, to)
	case *ast.UnaryExpr:
		return split(x.X, to) // of booleans: !
	case *ast.BinaryExpr:
		if joins(x.Op) {
			return split(x.Y, split(x.X, to))
		}
	}
	return append(to, e)
}

func joins(op token.Token) bool { return op == token.LAND || op == token.LOR }

// asked returns the conditions that stand right below n.
func asked(n ast.Node) []ast.Expr {
	switch x := n.(type) {
	case *ast.IfStmt:
		return []ast.Expr{x.Cond}
	case *ast.ForStmt:
		return []ast.Expr{x.Cond}
	case *ast.SwitchStmt:
		if x.Tag != nil {
			return nil
		}
		var all []ast.Expr
		for _, s := range x.Body.List {
			all = append(all, s.(*ast.CaseClause).List...)
		}
		return all
	case *ast.BinaryExpr:
		if joins(x.Op) || x.Op.Precedence() == token.EQL.Precedence() {
			return []ast.Expr{x}
		}
	}
	return nil
}
