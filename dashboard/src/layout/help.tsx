import { Kbd, Modal } from '@mantine/core'
import type { Item } from './menu'
import classes from './shell.module.css'

interface Props {
  items: Item[]
  opened: boolean
  onClose: () => void
}

/** All keys at a glance. */
export function Help({ items, opened, onClose }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={<strong>Keys</strong>}>
      <dl className={classes.keys}>
        {items.map((one) => (
          <div key={one.href}>
            <dt>
              <Kbd>g</Kbd> <Kbd>{one.key}</Kbd>
            </dt>
            <dd>{one.title}</dd>
          </div>
        ))}
        <div>
          <dt>
            <Kbd>/</Kbd>
          </dt>
          <dd>Search on this page</dd>
        </div>
        <div>
          <dt>
            <Kbd>?</Kbd>
          </dt>
          <dd>These keys</dd>
        </div>
      </dl>
    </Modal>
  )
}
