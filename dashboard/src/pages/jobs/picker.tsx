import { Button, Combobox, useCombobox } from '@mantine/core'
import { IconArrowLeft, IconFilter } from '@tabler/icons-react'
import { useState } from 'react'
import { useLive } from '~/api/live'
import type { Answer } from '~/api/types'
import { causeWords, format } from '~/parts'
import { type Field, FIELDS, type Filters, SPANS } from './filters'
import classes from './jobs.module.css'

type Step = Field | 'time'

interface Props {
  filters: Filters
  counts: Answer<'/v1/job/count'> | undefined
  /** Asks for two moments. */
  onPeriod: () => void
}

interface Option {
  value: string
  title: string
  note?: string
}

/** Values shown at once; typing finds the others. */
const SHOWN = 100

/** One button for all filters: first what to filter by, then its values, of those that exist. */
export function Picker({ filters, counts, onPeriod }: Props) {
  const [step, setStep] = useState<Step>()
  const [typed, setTyped] = useState('')
  const box = useCombobox({
    onDropdownClose: () => {
      box.resetSelectedOption()
      setStep(undefined)
      setTyped('')
    },
    onDropdownOpen: () => box.focusSearchInput(),
  })
  const { data: choices } = useLive(box.dropdownOpened ? '/v1/job/choice' : null)
  const low = typed.trim().toLowerCase()
  const options = (step ? values(step, choices, counts) : STEPS).filter((one) => `${one.title} ${one.value}`.toLowerCase().includes(low))
  const free = step && step !== 'time' && step !== 'cause' && low && !options.some((one) => one.value === typed.trim())
  const submit = (value: string) => {
    setTyped('')
    if (!step) {
      setStep(value as Step)
      box.resetSelectedOption()
      box.focusSearchInput()
      return
    }
    if (value === PERIOD) onPeriod()
    else if (step === 'time') filters.set({ since: value, until: undefined })
    else filters.set({ [step]: value })
    box.closeDropdown()
  }
  return (
    <Combobox store={box} width={260} position="bottom-start" shadow="sm" withinPortal onOptionSubmit={submit}>
      <Combobox.Target targetType="button" withAriaAttributes={false}>
        <Button variant="default" leftSection={<IconFilter size={14} aria-hidden />} aria-haspopup="listbox" aria-expanded={box.dropdownOpened} onClick={() => box.toggleDropdown()}>
          Filter
        </Button>
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Search
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value)
            box.updateSelectedOptionIndex()
          }}
          onKeyDown={(event) => {
            if (event.key === 'Backspace' && !typed) setStep(undefined)
          }}
          leftSection={
            step && (
              <button type="button" className={classes.back} aria-label="Back to all filters" onClick={() => setStep(undefined)}>
                <IconArrowLeft size={14} aria-hidden />
              </button>
            )
          }
          leftSectionPointerEvents="all"
          placeholder={step ? titleOf(step) : 'Filter by'}
          aria-label={step ? `Values of ${titleOf(step)}` : 'Filter by'}
        />
        <Combobox.Options mah={300} className={classes.options} aria-label={step ? titleOf(step) : 'Filters'}>
          {options.slice(0, SHOWN).map((one) => (
            <Combobox.Option key={one.value} value={one.value} title={one.title} className={classes.option}>
              <span className="pc-cut">{one.title}</span>
              {one.note && <span className="pc-dim">{one.note}</span>}
            </Combobox.Option>
          ))}
          {free && (
            <Combobox.Option value={typed.trim()} className={classes.option}>
              <span className="pc-cut">Exactly “{typed.trim()}”</span>
            </Combobox.Option>
          )}
          {!options.length && !free && <Combobox.Empty>{step && !choices ? 'Loading …' : step ? `No ${titleOf(step).toLowerCase()} yet` : 'No such filter'}</Combobox.Empty>}
          {options.length > SHOWN && <div className={classes.more}>{format.count(options.length - SHOWN)} more: type to find them</div>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  )
}

const PERIOD = 'period'
const titleOf = (step: Step) => (step === 'time' ? 'Time' : FIELDS[step])
const STEPS: Option[] = [...Object.entries(FIELDS).map(([value, title]) => ({ value, title })), { value: 'time', title: 'Time' }]
const LISTS = { label: 'labels', func: 'functions', env: 'envs', type: 'core_types', queue: 'queues' } as const

function values(step: Step, choices: Answer<'/v1/job/choice'> | undefined, counts: Answer<'/v1/job/count'> | undefined): Option[] {
  if (step === 'time') return [...Object.entries(SPANS).map(([value, { title }]) => ({ value, title })), { value: PERIOD, title: 'From … to …' }]
  if (step !== 'cause') return (choices?.[LISTS[step]] ?? []).map((one) => ({ value: one, title: one }))
  const causes = Object.entries(counts?.causes ?? {}).sort((a, b) => b[1] - a[1])
  return causes.map(([value, count]) => ({ value, title: causeWords(value), note: format.count(count) }))
}
