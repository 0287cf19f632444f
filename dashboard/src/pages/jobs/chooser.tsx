import { Button, Menu } from '@mantine/core'
import { IconCheck, IconColumns3 } from '@tabler/icons-react'
import { COLUMNS, FIXED } from './columns'
import classes from './jobs.module.css'

interface Props {
  hidden: string[]
  onChange: (hidden: string[]) => void
}

/** Which columns the table has. */
export function Chooser({ hidden, onChange }: Props) {
  const turn = (key: string) => onChange(hidden.includes(key) ? hidden.filter((one) => one !== key) : [...hidden, key])
  return (
    <Menu closeOnItemClick={false} position="bottom-end" width={200} shadow="sm">
      <Menu.Target>
        <Button variant="default" leftSection={<IconColumns3 size={14} aria-hidden />}>
          Columns
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {COLUMNS.filter((one) => !FIXED.includes(one.key)).map((one) => {
          const shown = !hidden.includes(one.key)
          return (
            <Menu.Item
              key={one.key}
              role="menuitemcheckbox"
              aria-checked={shown}
              leftSection={<IconCheck size={14} aria-hidden className={shown ? undefined : classes.unseen} />}
              onClick={() => turn(one.key)}
            >
              {one.title}
            </Menu.Item>
          )
        })}
        <Menu.Divider />
        <Menu.Item disabled={!hidden.length} onClick={() => onChange([])}>
          Show all
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
