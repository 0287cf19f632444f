import { CloseButton, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'

interface Props {
  value: string
  /** Called when typing has paused, or at Enter. */
  onChange: (value: string) => void
  /** What is searched: "Search jobs". */
  label: string
  /** ms of pause; 0 = at each key, for lists that are here already. */
  pause?: number
}

/** A field to search in; the key "/" goes to it. */
export function Search({ value, onChange, label, pause = 250 }: Props) {
  const [typed, setTyped] = useState(value)
  const [given, setGiven] = useState(value)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  if (given !== value) {
    // it was changed from outside, as by "clear filters"
    setGiven(value)
    if (value !== typed.trim()) setTyped(value)
  }
  useEffect(() => () => clearTimeout(timer.current), [])
  const say = (text: string, wait: number) => {
    setTyped(text)
    clearTimeout(timer.current)
    if (wait) timer.current = setTimeout(() => onChange(text.trim()), wait)
    else onChange(text.trim())
  }
  return (
    <TextInput
      type="search"
      size="xs"
      data-search
      aria-label={label}
      placeholder={`${label} ( / )`}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={typed && <CloseButton size="xs" aria-label="Clear the search" onClick={() => say('', 0)} />}
      value={typed}
      onChange={(event) => say(event.currentTarget.value, pause)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') say(typed, 0)
        if (event.key === 'Escape') event.currentTarget.blur()
      }}
      w={{ base: '100%', xs: 260 }}
    />
  )
}
