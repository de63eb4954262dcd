// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package kubedb

import (
	stdjson "encoding/json"
	"fmt"
	"regexp"
)

// hugeExponent matches a number whose exponent has three digits or more. The largest volume has 20 digits in all.
var hugeExponent = regexp.MustCompile(`[0-9.][eE][-+]?[0-9.]{3,}`)

// quantityFields are the fields that hold quantities, directly or as the values of an object, in the kinds of this
// package. Elsewhere such a text is nobody's number: a label may well be 123e4567.
var quantityFields = map[string]bool{
	"allocatedResources": true, "capacity": true, "limits": true, "overhead": true, "requests": true,
	"divisor": true, "sizeLimit": true, "volumeExpansion": true,
}

// checkExponents refuses an object that has a quantity like 1e-999999999. KubeDB's definitions let it pass, and to parse
// it, or to compare 1e999999999 with anything, takes minutes.
func checkExponents(data []byte) error {
	if !mayHaveHugeExponent(data) {
		return nil
	}
	tree, err := parseTree(data)
	if err != nil {
		return err
	}
	return checkTree(tree, false)
}

// mayHaveHugeExponent looks for what hugeExponent matches, in a text that is nothing but a number: a uid is not. It is
// done by hand because every object that is read comes through here.
func mayHaveHugeExponent(data []byte) bool {
	for i, char := range data {
		if char != 'e' && char != 'E' || i == 0 || !isOfNumber(data[i-1]) {
			continue
		}
		first := i - 1
		for first > 0 && isOfNumber(data[first-1]) {
			first--
		}
		if first > 0 && (data[first-1] == '+' || data[first-1] == '-') {
			first--
		}
		if first > 0 && (isOfNumber(data[first-1]) || isLetter(data[first-1])) {
			continue
		}
		begin := i + 1
		if begin < len(data) && (data[begin] == '+' || data[begin] == '-') {
			begin++
		}
		last := begin
		for last < len(data) && isOfNumber(data[last]) {
			last++
		}
		if last-begin >= 3 && (last == len(data) || data[last] != '-' && !isLetter(data[last])) {
			return true
		}
	}
	return false
}

func isOfNumber(char byte) bool { return char >= '0' && char <= '9' || char == '.' }

func isLetter(char byte) bool { return char|0x20 >= 'a' && char|0x20 <= 'z' }

func checkTree(tree any, quantity bool) error {
	switch value := tree.(type) {
	case map[string]any:
		for name, field := range value {
			if err := checkTree(field, quantity || quantityFields[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for _, item := range value {
			if err := checkTree(item, quantity); err != nil {
				return err
			}
		}
	case string:
		return checkQuantity(value, quantity)
	case stdjson.Number:
		return checkQuantity(value.String(), quantity)
	}
	return nil
}

func checkQuantity(text string, quantity bool) error {
	if quantity && hugeExponent.MatchString(text) {
		return fmt.Errorf("%.40q is not a size: its exponent is out of range", text)
	}
	return nil
}
