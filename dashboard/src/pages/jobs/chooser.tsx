import { Button, Menu } from '@mantine/core'
import { IconColumns3 } from '@tabler/icons-react'
import { COLUMNS, FIXED } from './columns'

interface Props {
  hidden: string[]
  onChange: (hidden: string[]) => void
}

/** Which columns the table has. */
export function Chooser({ hidden, onChange }: Props) {
  const turn = (key: string) => onChange(hidden.includes(key) ? hidden.filter((one) => one !== key) : [...hidden, key])
  return (
    <Menu withInitialFocusPlaceholder={false} position="bottom-end" width={200} shadow="sm">
      <Menu.Target>
        <Button variant="default" leftSection={<IconColumns3 size={14} aria-hidden />}>
          Columns
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {COLUMNS.filter((one) => !FIXED.includes(one.key)).map((one) => (
          <Menu.CheckboxItem key={one.key} checked={!hidden.includes(one.key)} onChange={() => turn(one.key)}>
            {one.title}
          </Menu.CheckboxItem>
        ))}
        <Menu.Divider />
        <Menu.Item closeMenuOnClick={false} disabled={!hidden.length} onClick={() => onChange([])}>
          Show all
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
