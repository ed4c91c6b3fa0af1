package shell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/juxta-p2p/juxta/shell/interp"
)

// completion is a script that completes the command line of the program in a
// shell of the system, one of completionShells.
func completion(program, shell string, all []*interp.Command) string {
	switch shell {
	case "bash":
		return bashCompletion(program, all)
	case "zsh":
		return zshCompletion(program, all)
	}
	return fishCompletion(program, all)
}

// identifier is the name of the program as part of the name of a function.
func identifier(program string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, program)
}

// flagsOf lists how the options of a command are written.
func flagsOf(o interp.Option) (all []string) {
	if o.Letter != "" {
		all = append(all, "-"+o.Letter)
	}
	if o.Name != "" {
		all = append(all, "--"+o.Name)
	}
	return all
}

// quoted puts a text in single quotes, for the shells of Unix.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// namesOf lists what may stand in the place of a command.
func namesOf(all []*interp.Command) (words, names []string) {
	for _, w := range programWords() {
		words = append(words, w.name)
	}
	for _, c := range all {
		names = append(names, c.Name)
	}
	return words, names
}

func bashCompletion(program string, all []*interp.Command) string {
	var b, values, flags strings.Builder
	f := "_" + identifier(program)
	var options, valued []string
	for _, o := range programOptions() {
		options = append(options, o.flag)
		if o.value == "" {
			continue
		}
		valued = append(valued, o.flag)
		switch {
		case o.words != nil:
			fmt.Fprintf(&values, "        %s) %s_words %s; return ;;\n", o.flag, f, quoted(strings.Join(o.words, " ")))
		case o.kind == peerValue:
			fmt.Fprintf(&values, "        %s) %s_words \"$(%s_running)\"; return ;;\n", o.flag, f, f)
		case o.kind != fileValue:
			fmt.Fprintf(&values, "        %s) return ;;\n", o.flag)
		}
	}
	for _, c := range all {
		var own []string
		for _, o := range c.AllOptions() {
			own = append(own, flagsOf(o)...)
		}
		fmt.Fprintf(&flags, "        %s) %s_options %s ;;\n", c.Name, f, quoted(strings.Join(own, " ")))
	}
	words, names := namesOf(all)
	fmt.Fprintf(&b, `# Completion of %[1]s for bash: source <(%[1]s completion bash)

%[2]s_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }

%[2]s_options() { if [[ $cur == -* ]]; then %[2]s_words "$1"; fi; }

%[2]s_running() { "$program" running 2>/dev/null | cut -f1; }

%[2]s_programs() { compgen -c %[1]s- | sed 's/^%[1]s-//'; }

%[2]s() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} program=$1 word= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        %[3]s) ((i++)) ;;
        -*) ;;
        *) word=${COMP_WORDS[i]}; break ;;
        esac
    done
    if [[ -z $word || $word == up ]]; then
        case $prev in
%[4]s        esac
    fi
    case $word in
        '') if [[ $cur == -* ]]; then
                %[2]s_words %[5]s
            else
                %[2]s_words %[6]s" $(%[2]s_programs)"
            fi ;;
        up) %[2]s_options %[5]s ;;
        down) %[2]s_words "$(%[2]s_running)" ;;
        completion) %[2]s_words %[7]s ;;
        help | man) %[2]s_words %[8]s ;;
%[9]s    esac
}

complete -o default -F %[2]s %[1]s
`, program, f, strings.Join(valued, " | "), values.String(), quoted(strings.Join(options, " ")),
		quoted(strings.Join(slices.Concat(words, names), " ")), quoted(strings.Join(completionShells(), " ")), quoted(strings.Join(names, " ")),
		flags.String())
	return b.String()
}

// zshText protects what has a meaning in the descriptions of _arguments.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

func zshCompletion(program string, all []*interp.Command) string {
	var options, words, flags strings.Builder
	f := "_" + identifier(program)
	for _, o := range programOptions() {
		spec := "*" + o.flag + "[" + zshText(o.help) + "]"
		switch {
		case o.value == "":
		case o.words != nil:
			spec += ":" + zshText(o.value) + ":(" + strings.Join(o.words, " ") + ")"
		case o.kind == peerValue:
			spec += ":" + zshText(o.value) + ":" + f + "_running"
		case o.kind == fileValue:
			spec += ":" + zshText(o.value) + ":_files"
		default:
			spec += ":" + zshText(o.value) + ": "
		}
		fmt.Fprintf(&options, "        %s\n", quoted(spec))
	}
	for _, w := range programWords() {
		fmt.Fprintf(&words, "        %s\n", quoted(w.name+":"+w.help))
	}
	for _, c := range all {
		fmt.Fprintf(&words, "        %s\n", quoted(c.Name+":"+c.Summary))
		fmt.Fprintf(&flags, "        (%s) _arguments", c.Name)
		for _, o := range c.AllOptions() {
			for _, flag := range flagsOf(o) {
				spec := "*" + flag + "[" + zshText(o.Help) + "]"
				if o.Value != "" {
					spec += ":" + zshText(o.Value) + ":_files"
				}
				flags.WriteString(" " + quoted(spec))
			}
		}
		flags.WriteString(" '*:argument:_files' ;;\n")
	}
	_, names := namesOf(all)
	return fmt.Sprintf(`#compdef %[1]s
# Completion of %[1]s for zsh: put it as _%[1]s into a folder of fpath, or
# source <(%[1]s completion zsh) after compinit.

%[2]s_running() {
    local -a peers
    peers=(${(f)"$(_call_program peers %[1]s running 2>/dev/null | cut -f1)"})
    compadd -a peers
}

%[2]s() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a options words_of_program programs
    options=(
%[3]s    )
    words_of_program=(
%[4]s    )
    _arguments -C $options '1: :->command' '*:: :->rest' && return
    case $state in
    (command)
        programs=(${${(k)commands[(I)%[1]s-*]}#%[1]s-})
        _describe -t commands command words_of_program
        compadd -a programs
        _files ;;
    (rest)
        case $words[1] in
        (up) _arguments $options '*: : ' ;;
        (down) %[2]s_running ;;
        (completion) compadd %[5]s ;;
        (help|man) compadd %[6]s ;;
%[7]s        esac ;;
    esac
}

if [[ $funcstack[1] == _%[1]s ]]; then
    %[2]s "$@"
else
    compdef %[2]s %[1]s
fi
`, program, f, options.String(), words.String(), strings.Join(completionShells(), " "), strings.Join(names, " "), flags.String())
}

// fishText puts a text in single quotes, for fish.
func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// fishFlag writes a flag as complete wants it.
func fishFlag(flag string) string {
	if name, ok := strings.CutPrefix(flag, "--"); ok {
		return "-l " + name
	}
	return "-s " + strings.TrimPrefix(flag, "-")
}

func fishCompletion(program string, all []*interp.Command) string {
	var b strings.Builder
	f := "__" + identifier(program)
	var valued []string
	for _, o := range programOptions() {
		if o.value != "" {
			valued = append(valued, o.flag)
		}
	}
	fmt.Fprintf(&b, `# Completion of %[1]s for fish: %[1]s completion fish | source

function %[2]s_word
    set -l words (commandline -opc)
    set -l skip 1
    for w in $words
        if test $skip = 1
            set skip 0
            continue
        end
        switch $w
            case %[3]s
                set skip 1
            case '-*'
            case '*'
                echo $w
                return
        end
    end
end

function %[2]s_at
    contains -- (%[2]s_word; or true) $argv
end

function %[2]s_free
    test -z (%[2]s_word | string collect; or true)
end

function %[2]s_running
    %[1]s running 2>/dev/null | cut -f1
end

function %[2]s_programs
    for dir in $PATH
        for file in $dir/%[1]s-*
            test -x $file; and string replace -r '.*/%[1]s-' '' -- $file
        end
    end
end

`, program, f, strings.Join(valued, " "))
	c := "complete -c " + program
	for _, o := range programOptions() {
		line := c + " -n '" + f + "_free; or " + f + "_at up' " + fishFlag(o.flag) + " -d " + fishText(o.help)
		switch {
		case o.value == "":
		case o.words != nil:
			line += " -x -a " + fishText(strings.Join(o.words, " "))
		case o.kind == peerValue:
			line += " -x -a '(" + f + "_running)'"
		case o.kind == fileValue:
			line += " -r"
		default:
			line += " -x"
		}
		b.WriteString(line + "\n")
	}
	for _, w := range programWords() {
		fmt.Fprintf(&b, "%s -n %s_free -a %s -d %s\n", c, f, w.name, fishText(w.help))
	}
	for _, x := range all {
		fmt.Fprintf(&b, "%s -n %s_free -a %s -d %s\n", c, f, x.Name, fishText(x.Summary))
	}
	fmt.Fprintf(&b, "%s -n %s_free -a '(%s_programs)' -d 'program on the path'\n", c, f, f)
	fmt.Fprintf(&b, "%s -n '%s_at down' -f -a '(%s_running)'\n", c, f, f)
	fmt.Fprintf(&b, "%s -n '%s_at completion' -f -a %s\n", c, f, fishText(strings.Join(completionShells(), " ")))
	_, names := namesOf(all)
	fmt.Fprintf(&b, "%s -n '%s_at help man' -f -a %s\n", c, f, fishText(strings.Join(names, " ")))
	for _, x := range all {
		for _, o := range x.AllOptions() {
			line := fmt.Sprintf("%s -n '%s_at %s'", c, f, x.Name)
			for _, flag := range flagsOf(o) {
				line += " " + fishFlag(flag)
			}
			if o.Value != "" {
				line += " -r"
			}
			b.WriteString(line + " -d " + fishText(o.Help) + "\n")
		}
	}
	return b.String()
}
